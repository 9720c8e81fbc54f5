"""The critics of CRL: their loss and its metrics, one of them or two, with and without parameters of their own."""

import copy
import math
from typing import Any

import pytest
import torch

from deepcrl.core.components import ENERGIES
from tests.core.agents.pieces import make_crl as make_agent
from tests.core.agents.pieces import make_hindsight_batch as make_batch


def twin_reference(agent, batch, noise):
    """One update of two critics in fp64: each its own loss; the actor's energy is the least of the two."""
    nets = {name: copy.deepcopy(net).double() for name, net in agent.networks.items()}
    s, a, goal = (x.double() for x in (batch.state, batch.action, batch.goal))
    out = nets["actor"](torch.cat([s, goal], 1))
    normal = torch.distributions.Normal(out[:, :3], (-5 + 3.5 * (torch.tanh(out[:, 3:]) + 1)).exp())
    before = normal.mean + normal.stddev * noise.double()
    log_prob = (normal.log_prob(before) - torch.log(1 - before.tanh() ** 2 + 1e-6)).sum(1)
    energies, losses = [], []
    for ending in ("", "_2"):
        phi, g = nets[f"sa_encoder{ending}"], nets[f"goal_encoder{ending}"](goal)
        energies.append(-((phi(torch.cat([s, before.tanh()], 1)) - g) ** 2).sum(1).add(1e-6).sqrt())
        logits = -((phi(torch.cat([s, a], 1))[:, None] - g) ** 2).sum(-1).add(1e-6).sqrt()
        lse = logits.logsumexp(1)
        losses.append((lse - logits.diagonal()).mean() + 0.1 * (lse**2).mean())
    return nets, (log_prob - torch.minimum(*energies)).mean(), torch.stack(losses).mean()


def test_twin_critics_learn_apart_and_the_actor_believes_the_least():
    agent, batch = make_agent(num_critics=2), make_batch()
    draws = torch.Generator()
    draws.set_state(agent.generators["actor_noise"].get_state())
    nets, actor_loss, critic_loss = twin_reference(agent, batch, torch.randn(32, 3, generator=draws))
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["actor/loss"].double(), actor_loss.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(metrics["critic/loss"].double(), critic_loss.detach(), rtol=1e-5, atol=1e-5)
    assert nets.keys() == {"actor", "sa_encoder", "goal_encoder", "sa_encoder_2", "goal_encoder_2"}
    for name, net in nets.items():
        parameters = list(net.parameters())
        gradients = torch.autograd.grad(actor_loss if name == "actor" else critic_loss, parameters, retain_graph=True)
        for ours, p, g in zip(agent.networks[name].parameters(), parameters, gradients, strict=True):
            expected = p.detach() - 3e-4 * g / (g.abs() + 1e-8)
            torch.testing.assert_close(ours.detach().double(), expected, rtol=0, atol=5e-5)


def test_each_critic_owns_its_energy_and_its_loss():
    twin: Any = {"num_critics": 2, "energy": "iqe", "loss": "infonce_temperature", "embedding_dim": 16}
    agent, batch = make_agent(**twin), make_batch()
    assert {"energy", "energy_2", "loss", "loss_2"} <= agent.networks.keys()
    before = {name: [p.detach().clone() for p in net.parameters()] for name, net in agent.networks.items()}
    agent.update(batch)
    for name, old in before.items():
        assert not any(torch.equal(p, q) for p, q in zip(old, agent.networks[name].parameters(), strict=True)), name
    other = make_agent(**twin)
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    a, b = agent.update(batch), other.update(batch)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_loss_with_parameters_is_trained_and_saved():
    agent, batch = make_agent(loss="infonce_temperature", critic_lr=0.1), make_batch()
    loss = copy.deepcopy(agent.networks["loss"])
    sa = agent.networks["sa_encoder"](torch.cat([batch.state, batch.action], 1)).detach()
    loss(ENERGIES.build({"name": "norm"}).pairwise(sa, agent.networks["goal_encoder"](batch.goal).detach())).backward()
    agent.update(batch)
    # Adam's first step has the size lr
    torch.testing.assert_close(agent.networks["loss"].log_temperature.detach(), -0.1 * loss.log_temperature.grad.sign())
    other = make_agent(loss="infonce_temperature", critic_lr=0.1)
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    assert torch.equal(other.networks["loss"].log_temperature, agent.networks["loss"].log_temperature)
    a, b = agent.update(batch), other.update(batch)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert torch.equal(other.networks["loss"].log_temperature, agent.networks["loss"].log_temperature)


@pytest.mark.parametrize("coef", [0.0, 0.5])
def test_embedding_l2_is_added_to_the_critics_loss(coef):
    agent, batch = make_agent(embedding_l2_coef=coef), make_batch()
    sa = agent.networks["sa_encoder"](torch.cat([batch.state, batch.action], 1)).detach()
    g = agent.networks["goal_encoder"](batch.goal).detach()
    expected = make_agent().update(batch)["critic/loss"] + coef * ((sa**2).mean() + (g**2).mean())
    torch.testing.assert_close(agent.update(batch)["critic/loss"], expected)


def test_embedding_l2_shrinks_the_embeddings():
    plain, small, batch = make_agent(critic_lr=1e-2), make_agent(critic_lr=1e-2, embedding_l2_coef=1.0), make_batch()
    for _ in range(50):
        plain.update(batch)
        small.update(batch)
    assert small.networks["goal_encoder"](batch.goal).norm() < 0.5 * plain.networks["goal_encoder"](batch.goal).norm()


def test_metrics_of_the_logits():
    agent, batch = make_agent(), make_batch(16)
    sa = agent.networks["sa_encoder"](torch.cat([batch.state, batch.action], 1))
    logits = ENERGIES.build({"name": "norm"}).pairwise(sa, agent.networks["goal_encoder"](batch.goal)).tolist()
    metrics = {name: value.item() for name, value in agent.update(batch).items()}
    hits = [max(range(16), key=lambda j, row=row: row[j]) == i for i, row in enumerate(logits)]
    negatives = [logits[i][j] for i in range(16) for j in range(16) if i != j]
    assert metrics["critic/categorical_accuracy"] == pytest.approx(sum(hits) / 16)
    assert metrics["critic/logits_pos"] == pytest.approx(sum(logits[i][i] for i in range(16)) / 16, rel=1e-4)
    assert metrics["critic/logits_neg"] == pytest.approx(sum(negatives) / len(negatives), rel=1e-4)
    lse = [math.log(sum(math.exp(v) for v in row)) for row in logits]
    assert metrics["critic/logsumexp"] == pytest.approx(sum(lse) / 16, rel=1e-4)


def test_the_critic_learns_to_tell_pairs_apart():
    agent, batch = make_agent(critic_lr=1e-2), make_batch()
    first = last = agent.update(batch)
    for _ in range(300):
        last = agent.update(batch)
    assert last["critic/categorical_accuracy"] > 0.9 > first["critic/categorical_accuracy"]
