"""TD3 against a slow, obvious implementation of its updates."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import scipy.stats
import torch

from deepcrl.core.agents.common.cuda_graph import with_cuda_graph
from deepcrl.core.agents.td3 import TD3
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
)
from tests.core.agents.test_sac import CRITICS, move_apart


def make_agent(**hyperparameters) -> TD3:
    agent = TD3(make_inputs(), **hyperparameters)
    move_apart(agent)
    return agent


def reference(agent, batch, discount=0.99, std=0.2, clip=0.5):
    """The losses of one update in fp64, by the paper's algorithm 1; the actor's with the new critics."""
    nets = {name: double(net) for name, net in agent.networks.items()}
    targets = {name: double(net) for name, net in agent.targets.items()}
    noise = noise_of(agent.generators["target_noise"], 32, 3)
    s, a, g, s2 = (x.double() for x in (batch.state, batch.action, batch.goal, batch.next_state))

    def q(net, state, action):
        return net(torch.cat([state, action, g], 1))[:, 0]

    with torch.no_grad():
        smoothed = torch.tanh(targets["actor"](torch.cat([s2, g], 1))) + (std * noise).clip(-clip, clip)
        a2 = smoothed.clip(-1, 1)
        reward = ((batch.next_achieved.double() - g).norm(dim=1) < 1.0).double()
        smaller = torch.minimum(*(q(targets[name], s2, a2) for name in CRITICS))
        target = reward + discount * torch.where(batch.terminated, 0.0, smaller)
    critic_loss = torch.stack([((q(nets[name], s, a) - target) ** 2).mean() for name in CRITICS]).sum()
    after = {name: after_adam(critic_loss, nets[name].parameters(), 3e-4) for name in CRITICS}
    with torch.no_grad():
        for name in CRITICS:
            for p, new in zip(nets[name].parameters(), after[name], strict=True):
                p.copy_(new)
    actor_loss = -q(nets["critic_1"], s, torch.tanh(nets["actor"](torch.cat([s, g], 1)))).mean()
    after["actor"] = after_adam(actor_loss, nets["actor"].parameters(), 3e-4)
    return critic_loss.detach(), actor_loss.detach(), after


@pytest.mark.parametrize(("std", "clip"), [(0.2, 0.5), (2.0, 0.1)])
def test_an_update_is_the_papers(std, clip):
    agent, batch = make_agent(target_noise=std, target_noise_clip=clip), make_batch()
    old_targets = {name: double(target) for name, target in agent.targets.items()}
    critic_loss, actor_loss, after = reference(agent, batch, std=std, clip=clip)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["critic/loss"].double(), critic_loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(metrics["actor/loss"].double(), actor_loss, rtol=1e-4, atol=1e-5)
    for name, expected in after.items():
        assert_parameters(agent.networks[name], expected)
    assert old_targets.keys() == {"actor", *CRITICS}
    for name, old in old_targets.items():
        new = double(agent.networks[name])
        expected = [0.995 * p + 0.005 * q for p, q in zip(old.parameters(), new.parameters(), strict=True)]
        assert_parameters(agent.targets[name], expected, atol=1e-6)


@pytest.mark.parametrize("delay", [1, 3])
def test_the_actor_and_the_targets_wait_for_their_turn(delay):
    agent, batch = make_agent(policy_delay=delay), make_batch()
    moved, names = [], []
    for _ in range(7):
        before = copy.deepcopy((agent.networks, agent.targets))
        metrics = agent.update(batch)
        names.append(list(metrics))
        for critic in CRITICS:
            assert not same(before[0][critic], agent.networks[critic])
        changed = [not same(before[0]["actor"], agent.networks["actor"])]
        changed += [not same(before[1][name], agent.targets[name]) for name in agent.targets]
        moved.append(changed)
    assert moved == [[i % delay == 0] * 4 for i in range(7)]
    assert names == [names[0]] * 7


def same(a, b) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_steps_without_the_actor_report_its_last_one():
    agent, rows = make_agent(), []
    for seed in range(4):
        rows.append(agent.update(make_batch(seed=seed)))
    assert rows[0]["actor/loss"] == rows[1]["actor/loss"] != rows[2]["actor/loss"] == rows[3]["actor/loss"]
    assert len({row["critic/loss"].item() for row in rows}) == 4


def test_goes_on_exactly_in_the_middle_of_a_turn():
    batch, observation = make_batch(), Observation(torch.randn(4, 5), torch.randn(4, 2))
    agent, other = make_agent(), make_agent()
    for _ in range(3):
        agent.update(batch)
    agent.act(observation, explore=True)
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    for _ in range(3):
        a, b = agent.update(batch), other.update(batch)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert all(same(net, other.networks[name]) for name, net in agent.networks.items())
    assert torch.equal(agent.act(observation, explore=True), other.act(observation, explore=True))


def test_exploring_adds_noise_to_the_policy():
    agent = make_agent(exploration_noise=0.05)
    observation = Observation(torch.zeros(5000, 5), torch.zeros(5000, 2))
    plain = agent.networks["actor"](torch.zeros(1, 7)).tanh().detach()
    torch.testing.assert_close(agent.act(observation, explore=False), plain.expand(5000, 3))
    noise = (agent.act(observation, explore=True) - plain) / 0.05
    assert scipy.stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-4
    assert agent.act(observation, explore=True).abs().max() < 1
    assert make_agent(exploration_noise=5.0).act(observation, explore=True).abs().max() == 1


def test_nothing_follows_a_step_that_terminated():
    agent, batch = make_agent(), make_batch()
    ended = replace(batch, terminated=torch.ones(32, dtype=torch.bool))
    assert agent.update(ended)["critic/target"] == agent._critics.reward(batch).mean()


def test_a_delayed_actor_fits_into_no_cuda_graph():
    with pytest.raises(
        ValueError, match="^cuda_graph=true: agent.policy_delay=2 takes two kinds of steps; it must be 1"
    ):
        with_cuda_graph(make_agent())
    assert make_agent(policy_delay=1).no_cuda_graph_reason == ""


def test_the_actor_finds_the_action_that_is_rewarded():
    agent, batch = TD3(make_inputs(), actor_lr=1e-2, critic_lr=1e-2), make_bandit()
    for _ in range(120):
        agent.update(batch)
    action = agent.act(Observation(batch.state, batch.goal), explore=False)
    assert (action[:, 0] > 0).float().mean() > 0.9


@pytest.mark.parametrize(
    ("hyperparameter", "value", "message"),
    [
        ("actor_lr", 0.0, "agent.actor_lr must be greater than 0, got 0.0"),
        ("policy_delay", 0, "agent.policy_delay must be at least 1 update, got 0"),
        ("exploration_noise", -0.1, "agent.exploration_noise must be at least 0, got -0.1"),
        ("target_noise", -0.1, "agent.target_noise must be at least 0, got -0.1"),
        ("target_noise_clip", -0.1, "agent.target_noise_clip must be at least 0, got -0.1"),
        ("tau", 2.0, "agent.tau is a share between 0 and 1, got 2.0"),
    ],
)
def test_refuses_values_out_of_range(hyperparameter, value, message):
    with pytest.raises(ValueError, match=message):
        make_agent(**{hyperparameter: value})


def test_needs_a_success_radius():
    with pytest.raises(ValueError, match="the task states no success radius"):
        TD3(make_inputs(replace(SPEC, success_radius=None)))
