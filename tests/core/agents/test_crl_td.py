"""TD-InfoNCE against a slow, obvious implementation of one update."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from deepcrl.core.agents.common.actor_losses import actor_loss_max_entropy
from deepcrl.core.agents.crl_td import TDInfoNCE
from tests.core.agents.pieces import (
    after_adam,
    assert_parameters,
    double,
    make_batch,
    make_inputs,
    noise_of,
    squashed,
)
from tests.core.agents.test_sac import move_apart

SIZE = 16  # so that two draws of noise are those of one twice as long


def make_agent(energy="norm", **hyperparameters) -> TDInfoNCE:
    agent = TDInfoNCE(make_inputs(energy=energy), embedding_dim=8, **hyperparameters)
    move_apart(agent)
    return agent


def endings(num: int) -> list[str]:
    return ["", *(f"_{i}" for i in range(2, num + 1))]


def critic_parameters(nets, num):
    names = [f"{net}{ending}" for ending in endings(num) for net in ("sa_encoder", "goal_encoder")]
    return {name: list(nets[name].parameters()) for name in names}


def reference(agent, batch, num, entropy_bonus, discount=0.9):
    """The losses of one update in fp64, by equation 10 and algorithm 1; the actor's with the new critics."""
    nets = {name: double(net) for name, net in agent.networks.items()}
    targets = {name: double(net) for name, net in agent.targets.items()}
    alpha = agent.scalars["log_alpha"].detach().double().exp()
    draws = noise_of(agent.generators["actor_noise"], 2, SIZE, 3)
    s, a, g, s2, x = (
        t.double() for t in (batch.state, batch.action, batch.goal, batch.next_state, batch.next_achieved)
    )

    def f(nets, ending, state, action, goal, place):
        phi = nets[f"sa_encoder{ending}"](torch.cat([state, action, goal]))
        return -((phi - nets[f"goal_encoder{ending}"](place)) ** 2).sum().add(1e-6).sqrt()

    def row(nets, ending, i, state, action, places):
        return torch.stack([f(nets, ending, state[i], action[i], g[i], place) for place in places])

    with torch.no_grad():
        a2, _ = squashed(nets["actor"](torch.cat([s2, g], 1)), draws[0])
    losses = []
    for i in range(SIZE):
        with torch.no_grad():
            guess = torch.stack([row(targets, ending, i, s2, a2, g) for ending in endings(num)])
            w = torch.softmax(guess.min(0).values, 0)
        for ending in endings(num):
            next_loss = -torch.log_softmax(row(nets, ending, i, s, a, x), 0)[i]
            future_loss = -(w * torch.log_softmax(row(nets, ending, i, s, a, g), 0)).sum()
            if batch.terminated[i]:
                losses.append(next_loss)
            else:
                losses.append((1 - discount) * next_loss + discount * future_loss)
    critic_loss = torch.stack(losses).mean()
    trained = critic_parameters(nets, num)
    after = {name: after_adam(critic_loss, parameters, 3e-4) for name, parameters in trained.items()}
    with torch.no_grad():
        for name, parameters in trained.items():
            for p, new in zip(parameters, after[name], strict=True):
                p.copy_(new)
    action, log_prob = squashed(nets["actor"](torch.cat([s, g], 1)), draws[1])
    values = []
    for i in range(SIZE):
        logits = torch.stack([row(nets, ending, i, s, action, g) for ending in endings(num)]).min(0).values
        values.append(torch.log_softmax(logits, 0)[i])
    actor_loss = ((alpha * log_prob if entropy_bonus else 0) - torch.stack(values)).mean()
    after["actor"] = after_adam(actor_loss, nets["actor"].parameters(), 3e-4)
    return critic_loss.detach(), actor_loss.detach(), after


@pytest.mark.parametrize(("num", "entropy_bonus"), [(1, True), (2, False), (2, True)])
def test_an_update_is_the_papers(num, entropy_bonus):
    agent, batch = make_agent(num_critics=num, entropy_bonus=entropy_bonus, discount=0.9), make_batch(SIZE)
    old_targets = {name: double(target) for name, target in agent.targets.items()}
    critic_loss, actor_loss, after = reference(agent, batch, num, entropy_bonus)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["critic/loss"].double(), critic_loss, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(metrics["actor/loss"].double(), actor_loss, rtol=1e-4, atol=1e-4)
    assert after.keys() == agent.networks.keys()
    for name, expected in after.items():
        assert_parameters(agent.networks[name], expected, atol=5e-5)
    assert old_targets.keys() == after.keys() - {"actor"}
    for name, old in old_targets.items():
        new = double(agent.networks[name])
        expected = [0.995 * p + 0.005 * q for p, q in zip(old.parameters(), new.parameters(), strict=True)]
        assert_parameters(agent.targets[name], expected, atol=1e-6)


def test_without_discount_it_is_infonce_of_the_next_state():
    agent, batch = make_agent(discount=0.0, num_critics=1), make_batch(SIZE)
    sa = agent.networks["sa_encoder"](torch.cat([batch.state, batch.action, batch.goal], 1))
    logits = -torch.cdist(sa, agent.networks["goal_encoder"](batch.next_achieved))
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(SIZE))
    torch.testing.assert_close(agent.update(batch)["critic/loss"], expected.detach(), rtol=1e-4, atol=1e-4)


def test_the_discounted_future_is_found_from_single_steps():
    """A chain of states 0 -> 1 -> 2 -> 3, 3 staying: from 0, the places are visited with (1 - d) d^k, the rest at 3."""
    agent = make_agent(discount=0.5, tau=0.2, critic_lr=1e-2, num_critics=1, energy="dot")
    place = torch.arange(4.0).repeat(8)
    following = (place + 1).clamp_max(3)

    def one_hot(x, size):
        return torch.nn.functional.one_hot(x.long(), size).float()

    base, goals = make_batch(32), torch.eye(4)[:, :2] * 2 - torch.eye(4)[:, 2:] * 2
    chain = replace(
        base,
        state=one_hot(place, 5),
        next_state=one_hot(following, 5),
        next_achieved=goals[following.long()],
        goal=goals[torch.arange(32) // 8],
        terminated=torch.zeros(32, dtype=torch.bool),
        action=torch.zeros(32, 3),
    )
    for _ in range(150):
        agent.update(chain)
    phi = agent.networks["sa_encoder"](torch.cat([chain.state, chain.action, chain.goal], 1))
    found = (phi @ agent.networks["goal_encoder"](goals).T).softmax(1)[place == 0].mean(0)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.5, 0.25, 0.25]), rtol=0, atol=0.1)


def test_the_target_is_a_constant_and_the_actor_moves_no_critic():
    agent, batch = make_agent(energy="iqe"), make_batch(SIZE)
    assert not agent._target(batch).requires_grad
    critics = {name: net for name, net in agent.networks.items() if name != "actor"}
    before = copy.deepcopy(critics)
    action, log_prob = agent._actor.rsample(policy := agent._actor.policy(batch.state, batch.goal))
    agent._actor.step(*actor_loss_max_entropy(policy, agent._log_ratio(batch, action), log_prob, entropy_coef=0.0))
    for name, net in critics.items():
        assert all(p.grad is None for p in net.parameters())
        assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before[name].parameters(), strict=True))
    agent.update(batch)
    assert all(p.grad is None for target in agent.targets.values() for p in target.parameters())
    assert agent.targets.keys() == critics.keys() >= {"energy", "energy_2"}


@pytest.mark.parametrize(
    ("hyperparameter", "value", "message"),
    [
        ("num_critics", 0, "agent.num_critics must be greater than 0, got 0"),
        ("embedding_dim", 0, "agent.embedding_dim must be greater than 0, got 0"),
        ("critic_lr", 0.0, "agent.critic_lr must be greater than 0, got 0.0"),
        ("discount", 1.5, "agent.discount is a share between 0 and 1, got 1.5"),
        ("tau", -0.5, "agent.tau is a share between 0 and 1, got -0.5"),
        ("exploration", "best_of", "Unknown action choice of this agent 'best_of'"),
    ],
)
def test_refuses_values_out_of_range(hyperparameter, value, message):
    with pytest.raises(ValueError, match=message):
        TDInfoNCE(make_inputs(), **{hyperparameter: value})
