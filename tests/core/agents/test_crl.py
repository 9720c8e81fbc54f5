"""CRL against a slow, obvious implementation of one update, and the names by which it acts."""

import copy
import math
from functools import partial
from typing import Any

import pytest
import scipy.stats
import torch
from torch import nn

from deepcrl.core.agents.common.inputs import Parts
from deepcrl.core.agents.crl import CRL
from deepcrl.core.components import ENCODERS, ENERGIES, LOSSES
from deepcrl.core.types import Batch, EnvSpec, Observation
from tests.conftest import assert_same

SPEC = EnvSpec(state_dim=5, action_dim=3, goal_indices=(0, 1))


class Plain(nn.Module):
    """A small float64-capable encoder that knows nothing of ours."""

    def __init__(self, in_dim, out_dim, generator):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(in_dim, 16), nn.SiLU(), nn.Linear(16, out_dim))
        for p in self.parameters():
            nn.init.uniform_(p, -0.4, 0.4, generator=generator)

    def forward(self, x):
        return self.net(x)


def make_agent(encoder: Any = Plain, precision="fp32", loss="infonce", energy="norm", **hyperparameters):
    parts = Parts(
        SPEC,
        sa_encoder=encoder,
        goal_encoder=encoder,
        actor_encoder=encoder,
        energy=ENERGIES.build({"name": energy}),
        loss=LOSSES.build({"name": loss}),
        device=torch.device("cpu"),
        precision=precision,
        seed=0,
    )
    return CRL(parts, **{"embedding_dim": 8, **hyperparameters})


def make_batch(size=32):
    g = torch.Generator().manual_seed(1)
    action = torch.rand(size, 3, generator=g) * 2 - 1
    return Batch(torch.randn(size, 5, generator=g), action, torch.randn(size, 2, generator=g))


def reference_update(agent, batch, noise, lr=3e-4, entropy_bonus=True):
    """One update by the paper's equations and the released code's order; returns losses and new parameters."""
    actor, phi, psi = (copy.deepcopy(agent.networks[name]) for name in ("actor", "sa_encoder", "goal_encoder"))
    log_alpha = agent.scalars["log_alpha"].detach().clone().requires_grad_()
    out = actor(torch.cat([batch.state, batch.goal], 1))
    mean, log_std = out[:, :3], -5 + 3.5 * (torch.tanh(out[:, 3:]) + 1)
    before = mean + log_std.exp() * noise
    action = torch.tanh(before)
    normal = torch.distributions.Normal(mean, log_std.exp())
    log_prob = (normal.log_prob(before) - torch.log(1 - action**2 + 1e-6)).sum(1)

    def energy(x, y):
        return -torch.sqrt(((x - y) ** 2).sum(-1) + 1e-6)

    q = energy(phi(torch.cat([batch.state, action], 1)), psi(batch.goal))
    actor_loss = ((log_alpha.detach().exp() * log_prob if entropy_bonus else 0) - q).mean()
    alpha_loss = (log_alpha.exp() * (-log_prob.detach() - (-0.5 * 3))).mean()
    embeddings = phi(torch.cat([batch.state, batch.action], 1))
    logits = energy(embeddings[:, None], psi(batch.goal)[None])
    lse = torch.logsumexp(logits, 1)
    critic_loss = -(logits.diagonal() - lse).mean() + 0.1 * ((lse) ** 2).mean()
    after = {}
    for name, loss, parameters in (
        ("actor", actor_loss, list(actor.parameters())),
        ("temperature", alpha_loss, [log_alpha]),
        ("critic", critic_loss, [*phi.parameters(), *psi.parameters()]),
    ):
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        # Adam's first step, with optax's and torch's defaults
        after[name] = [p.detach() - lr * g / (g.abs() + 1e-8) for p, g in zip(parameters, gradients, strict=True)]
    return {"actor": actor_loss, "critic": critic_loss, "log_prob": log_prob}, after


@pytest.mark.parametrize("entropy_bonus", [True, False])
def test_an_update_is_the_papers(entropy_bonus):
    agent, batch = make_agent(entropy_bonus=entropy_bonus), make_batch()
    draws = torch.Generator()
    draws.set_state(agent.generators["actor_noise"].get_state())
    noise = torch.randn(32, 3, generator=draws)
    losses, after = reference_update(agent, batch, noise, entropy_bonus=entropy_bonus)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["actor/loss"], losses["actor"].detach())
    torch.testing.assert_close(metrics["critic/loss"], losses["critic"].detach())
    torch.testing.assert_close(metrics["actor/entropy"], -losses["log_prob"].mean().detach())
    critic = [*agent.networks["sa_encoder"].parameters(), *agent.networks["goal_encoder"].parameters()]
    trained = {
        "actor": list(agent.networks["actor"].parameters()),
        "temperature": [agent.scalars["log_alpha"]],
        "critic": critic,
    }
    for name, parameters in trained.items():
        for ours, expected in zip(parameters, after[name], strict=True):
            # a step has the size lr whatever the gradient: only where |gradient| ~ eps may rounding show
            torch.testing.assert_close(ours.detach(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("objective", ["max_entropy", "ddpg_bc", "awr"])
@pytest.mark.parametrize("num_critics", [1, 2])
def test_halves_side_by_side_take_the_same_step(objective, num_critics):
    """Bit for bit, with a network that writes into shared memory if anything does: the trunk of native kernels."""
    encoder = partial(ENCODERS.build, {"name": "residual_mlp", "depth": 4, "width": 32})

    def trained(*, side_by_side):
        agent = make_agent(encoder, energy="iqe", actor_objective=objective, num_critics=num_critics)
        if side_by_side:
            agent.halves.start()
        return [agent.update(make_batch()) for _ in range(5)], agent.state_dict()

    assert_same(trained(side_by_side=True), trained(side_by_side=False))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_random_goals_change_the_goals_of_the_actor_only(share):
    agent, plain, batch = make_agent(random_goals=share), make_agent(), make_batch(32)
    num_random = round(32 * share)
    mixed = torch.cat([batch.goal.roll(1, 0)[:num_random], batch.goal[num_random:]])
    expected, same = plain.update(Batch(batch.state, batch.action, mixed)), make_agent().update(batch)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["actor/loss"], expected["actor/loss"])
    assert torch.equal(metrics["critic/loss"], same["critic/loss"])
    assert torch.equal(metrics["actor/loss"], same["actor/loss"]) == (share == 0)


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


def test_best_of_asks_both_critics():
    agent = make_agent(num_critics=2, exploration="best_of", num_candidates=16)
    observation = Observation(torch.randn(6, 5), torch.randn(6, 2))
    actions = torch.rand(4, 6, 3) * 2 - 1
    energy = ENERGIES.build({"name": "norm"})
    expected = [
        min(
            energy.paired(
                agent.networks[f"sa_encoder{ending}"](torch.cat([observation.state[n], actions[k, n]])),
                agent.networks[f"goal_encoder{ending}"](observation.goal[n]),
            ).item()
            for ending in ("", "_2")
        )
        for k in range(4)
        for n in range(6)
    ]
    scores = agent._score(observation, actions).flatten().detach()
    torch.testing.assert_close(scores, torch.tensor(expected), rtol=1e-5, atol=1e-5)


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


def test_the_temperature_raises_entropy_that_is_too_low():
    agent, batch = make_agent(target_entropy_per_action=5.0, temperature_lr=0.01), make_batch()
    for _ in range(5):
        agent.update(batch)
    assert agent.scalars["log_alpha"] > 0


def test_deterministic_is_the_mode_and_draws_nothing():
    agent = make_agent(evaluation="deterministic")
    observation = Observation(torch.randn(4, 5), torch.randn(4, 2))
    action = agent.act(observation, explore=False)
    mean = agent.networks["actor"](torch.cat([observation.state, observation.goal], 1))[:, :3]
    assert torch.equal(action, mean.tanh())


def test_sample_follows_the_squashed_gaussian():
    agent = make_agent(exploration="sample")
    observation = Observation(torch.zeros(1, 5).expand(20_000, 5), torch.zeros(1, 2).expand(20_000, 2))
    features = agent.networks["actor"](torch.zeros(1, 7))[0].detach()
    action = agent.act(observation, explore=True)
    for i in range(3):
        std = math.exp(-5 + 3.5 * (math.tanh(features[3 + i]) + 1))
        standard = (action[:, i].double().atanh() - features[i]) / std
        assert scipy.stats.kstest(standard.numpy(), "norm").pvalue > 1e-4


def test_best_of_takes_the_candidate_that_the_critic_prefers():
    plain, best = make_agent(exploration="sample"), make_agent(exploration="best_of", num_candidates=16)
    observation = Observation(torch.randn(50, 5), torch.randn(50, 2))
    energy = ENERGIES.build({"name": "norm"})

    def value(agent):
        action = agent.act(observation, explore=True)
        sa = agent.networks["sa_encoder"](torch.cat([observation.state, action], 1))
        return energy.paired(sa, agent.networks["goal_encoder"](observation.goal)).mean()

    assert value(best) > value(plain)
    only_one = make_agent(exploration="best_of", num_candidates=1)
    assert torch.equal(only_one.act(observation, explore=True), make_agent().act(observation, explore=True))


def test_state_dict_goes_on_exactly():
    batch, observation = make_batch(), Observation(torch.randn(4, 5), torch.randn(4, 2))
    agent, other = make_agent(), make_agent(exploration="sample")
    for _ in range(3):
        agent.update(batch)
    agent.act(observation, explore=True)
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    a, b = agent.update(batch), other.update(batch)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert torch.equal(agent.act(observation, explore=True), other.act(observation, explore=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_runs_the_papers_encoder_at_either_precision(precision):
    encoder = partial(ENCODERS.build, {"name": "residual_mlp", "depth": 4, "width": 32})
    agent, batch = make_agent(encoder, precision), make_batch()
    metrics = agent.update(batch)
    assert all(value.isfinite() for value in metrics.values())
    assert all(p.dtype == torch.float32 for net in agent.networks.values() for p in net.parameters())
    assert agent.act(Observation(batch.state, batch.goal), explore=True).dtype == torch.float32


def test_bf16_changes_the_numbers_a_little():
    encoder = partial(ENCODERS.build, {"name": "residual_mlp", "depth": 4, "width": 32})
    full, half = (make_agent(encoder, precision).update(make_batch())["critic/loss"] for precision in ("fp32", "bf16"))
    assert full != half
    torch.testing.assert_close(full, half, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("hyperparameter", "value", "message"),
    [
        ("actor_lr", -1.0, "agent.actor_lr must be positive, got -1.0"),
        ("critic_lr", 0.0, "agent.critic_lr must be positive, got 0.0"),
        ("temperature_lr", -0.1, "agent.temperature_lr must be positive"),
        ("random_goals", 1.5, "agent.random_goals is a share between 0 and 1, got 1.5"),
        ("embedding_l2_coef", -0.1, "agent.embedding_l2_coef must not be negative, got -0.1"),
        ("num_critics", 0, "agent.num_critics must be positive, got 0"),
        ("num_candidates", 0, "agent.num_candidates must be positive"),
        ("exploration", "best", "Unknown action choice 'best'. Did you mean 'best_of'"),
        ("evaluation", "determinstic", "Did you mean 'deterministic'"),
    ],
)
def test_refuses_values_out_of_range(hyperparameter, value, message):
    with pytest.raises(ValueError, match=message):
        make_agent(**{hyperparameter: value})
