"""SAC against a slow, obvious implementation of one update."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from deepcrl.core.agents.sac import SAC
from deepcrl.core.types import Observation
from tests.core.agents.pieces import (
    SPEC,
    after_adam,
    assert_parameters,
    double,
    make_bandit,
    make_batch,
    make_inputs,
    noise_of,
    plain,
    squashed,
)

CRITICS = ("critic_1", "critic_2")


def make_agent(**hyperparameters) -> SAC:
    agent = SAC(make_inputs(), **hyperparameters)
    move_apart(agent)
    return agent


def move_apart(agent) -> None:
    """Moves the targets and alpha off their first values, so that to take one for the other shows."""
    g = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for target in agent.targets.values():
            for p in target.parameters():
                p += 0.3 * torch.rand(p.shape, generator=g)
        for scalar in agent.scalars.values():
            scalar.fill_(-0.7)


def reference(agent, batch, discount=0.99):
    """The losses of one update in fp64, by the papers' equations; the actor's with the critics of after their step."""
    nets = {name: double(net) for name, net in agent.networks.items()}
    targets = {name: double(net) for name, net in agent.targets.items()}
    alpha = agent.scalars["log_alpha"].detach().double().exp()
    draws = noise_of(agent.generators["actor_noise"], 2, 32, 3)
    s, a, g, s2 = (x.double() for x in (batch.state, batch.action, batch.goal, batch.next_state))

    def q(net, state, action):
        return net(torch.cat([state, action, g], 1))[:, 0]

    with torch.no_grad():
        a2, log_prob2 = squashed(nets["actor"](torch.cat([s2, g], 1)), draws[0])
        rows = []
        for i in range(32):
            reward = 1.0 if (batch.next_achieved[i].double() - g[i]).norm() < 1.0 else 0.0
            smaller = min(q(targets[name], s2, a2)[i] for name in CRITICS)
            follows = 0.0 if batch.terminated[i] else discount * (smaller - alpha * log_prob2[i])
            rows.append(reward + follows)
        target = torch.stack([torch.as_tensor(row, dtype=torch.float64) for row in rows])
    critic_loss = torch.stack([((q(nets[name], s, a) - target) ** 2).mean() for name in CRITICS]).sum()
    critics_after = {name: after_adam(critic_loss, nets[name].parameters(), 3e-4) for name in CRITICS}
    with torch.no_grad():
        for name in CRITICS:
            for p, new in zip(nets[name].parameters(), critics_after[name], strict=True):
                p.copy_(new)
    action, log_prob = squashed(nets["actor"](torch.cat([s, g], 1)), draws[1])
    value = torch.minimum(*(q(nets[name], s, action) for name in CRITICS))
    actor_loss = (alpha * log_prob - value).mean()
    actor_after = after_adam(actor_loss, nets["actor"].parameters(), 3e-4)
    return critic_loss.detach(), actor_loss.detach(), critics_after | {"actor": actor_after}, log_prob.detach(), target


def test_an_update_is_the_papers():
    agent, batch = make_agent(), make_batch()
    old_targets = {name: double(target) for name, target in agent.targets.items()}
    critic_loss, actor_loss, after, log_prob, target = reference(agent, batch)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["critic/loss"].double(), critic_loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(metrics["critic/target"].double(), target.mean(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(metrics["actor/loss"].double(), actor_loss, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["actor/entropy"].double(), -log_prob.mean(), rtol=1e-4, atol=1e-4)
    for name, expected in after.items():
        assert_parameters(agent.networks[name], expected)
    # log alpha falls by lr where there is more entropy than wanted, rises where there is less
    sign = (-log_prob.mean() - (-1.5)).sign()
    torch.testing.assert_close(agent.scalars["log_alpha"].detach().double(), -0.7 - 3e-4 * sign, rtol=0, atol=1e-6)
    for name, old in old_targets.items():
        new = agent.networks[name].double()
        expected = [0.995 * p + 0.005 * q for p, q in zip(old.parameters(), new.parameters(), strict=True)]
        assert_parameters(agent.targets[name], expected, atol=1e-6)


def test_the_reward_says_what_the_environment_says():
    agent, batch = make_agent(), make_batch()
    inside = torch.tensor([0.6, 0.79999]), torch.tensor([0.6, 0.80001])
    achieved = torch.stack([batch.goal[i] + inside[i % 2] for i in range(32)])
    reward = agent._critics.reward(replace(batch, next_achieved=achieved))
    assert reward.tolist() == [1.0, 0.0] * 16
    with pytest.raises(ValueError, match="the task states no success radius around its goals; use agent=crl"):
        SAC(make_inputs(replace(SPEC, success_radius=None)))


def test_nothing_follows_a_step_that_terminated():
    agent, batch = make_agent(), make_batch()
    ended = replace(batch, terminated=torch.ones(32, dtype=torch.bool))
    target = agent._target(ended, agent._temperature.alpha)
    assert torch.equal(target, agent._critics.reward(batch))
    goes_on = replace(batch, terminated=torch.zeros(32, dtype=torch.bool))
    assert not torch.equal(agent._target(goes_on, agent._temperature.alpha), target)


def test_values_approach_the_discounted_return():
    """A step that ends at its goal and goes nowhere is worth 1 / (1 - discount), one that never does is worth 0."""
    agent, batch = make_agent(discount=0.5, tau=0.5, critic_lr=3e-2, temperature_lr=1e-9), make_batch(64)
    with torch.no_grad():
        agent.scalars["log_alpha"].fill_(-20.0)  # the entropy earns nothing
    at_goal = torch.arange(64) % 2 == 0
    there = torch.where(at_goal[:, None], batch.goal, batch.goal + 3)
    state = torch.cat([at_goal[:, None].float(), torch.zeros(64, 4)], 1)
    loop = replace(batch, state=state, next_state=state, next_achieved=there, terminated=torch.zeros(64).bool())
    for _ in range(60):
        agent.update(loop)
    value = agent._critics.value(loop.state, loop.action, loop.goal)
    torch.testing.assert_close(value[at_goal].mean(), torch.tensor(2.0), rtol=0, atol=0.2)
    torch.testing.assert_close(value[~at_goal].mean(), torch.tensor(0.0), rtol=0, atol=0.2)


def test_best_of_takes_the_candidate_of_the_highest_value():
    inputs, observation = make_inputs(), Observation(torch.randn(50, 5), torch.randn(50, 2))
    one, many = SAC(inputs), SAC(inputs, exploration="best_of", num_candidates=16)

    def value(agent):
        action = agent.act(observation, explore=True)
        inputs = torch.cat([observation.state, action, observation.goal], 1)
        return torch.minimum(*(one.networks[name](inputs) for name in CRITICS)).mean()

    assert value(many) > value(one)


def test_targets_and_critics_feel_nothing_of_the_actors_step():
    agent, batch = make_agent(), make_batch()
    before = copy.deepcopy(agent.networks)
    agent.update(batch)
    assert all(p.grad is None for target in agent.targets.values() for p in target.parameters())
    assert all(p.requires_grad for net in agent.networks.values() for p in net.parameters())
    gradients = [p.grad.clone() for name in CRITICS for p in agent.networks[name].parameters()]
    again = SAC(make_inputs())
    again.networks["actor"].load_state_dict(before["actor"].state_dict())
    move_apart(again)
    loss, _ = again._critics.loss(batch, again._target(batch, again._temperature.alpha))
    again.step("critic", loss)
    same = [p.grad for name in CRITICS for p in again.networks[name].parameters()]
    assert all(torch.equal(a, b) for a, b in zip(gradients, same, strict=True))


def test_the_actor_finds_the_action_that_is_rewarded():
    agent, batch = SAC(make_inputs(), actor_lr=1e-2, critic_lr=1e-2, temperature_lr=5e-2), make_bandit()
    for _ in range(120):
        agent.update(batch)
    action = agent.act(Observation(batch.state, batch.goal), explore=False)
    assert (action[:, 0] > 0).float().mean() > 0.9


@pytest.mark.parametrize(
    ("hyperparameter", "value", "message"),
    [
        ("actor_lr", 0.0, "agent.actor_lr must be greater than 0, got 0.0"),
        ("critic_lr", -1.0, "agent.critic_lr must be greater than 0, got -1.0"),
        ("temperature_lr", 0.0, "agent.temperature_lr must be greater than 0, got 0.0"),
        ("discount", 1.5, "agent.discount is a share between 0 and 1, got 1.5"),
        ("tau", -0.5, "agent.tau is a share between 0 and 1, got -0.5"),
        ("num_candidates", 0, "agent.num_candidates must be greater than 0, got 0"),
        ("exploration", "best", "Unknown action choice 'best'. Did you mean 'best_of'"),
    ],
)
def test_refuses_values_out_of_range(hyperparameter, value, message):
    with pytest.raises(ValueError, match=message):
        SAC(make_inputs(encoder=plain), **{hyperparameter: value})
