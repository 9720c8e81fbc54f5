"""Policies by name: what the network's features mean, and every agent with every policy."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.policy import POLICIES, PolicyHead
from deepcrl.core.agents.common.actor_losses import actor_loss_awr, actor_loss_ddpg_bc
from deepcrl.core.components import AGENTS
from deepcrl.core.types import Observation
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit
from tests.conftest import assert_same
from tests.core.agents.common.acting.test_action_chunks import make_chunks, observations
from tests.core.agents.pieces import make_crl, make_hindsight_batch, noise_of
from tests.core.agents.test_every_agent import TWO_UPDATES, parts_of
from tests.training.test_resume import Snapshots, assert_goes_on, trained

OTHERS = [("gaussian", 0.0), ("gaussian", 1.0), ("tanh_gaussian", 0.5)]
WITH_POLICY = [name for name in sorted(AGENTS) if "policy" in AGENTS.defaults(name)]


def test_a_learned_deviation_has_limits() -> None:
    for name in POLICIES:
        log_std = PolicyHead(name, 0.0)(torch.tensor([[0.0, -1e9], [0.0, 0.0], [0.0, 1e9]])).log_std
        assert log_std[:, 0].tolist() == [-5.0, -1.5, 2.0]


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_features_are_means_and_what_is_learned_of_the_deviation(name: str) -> None:
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    learned, constant = PolicyHead(name, 0.0), PolicyHead(name, 0.5)
    assert (learned.num_features(3), constant.num_features(3)) == (6, 3)
    bounded = features.tanh() if name == "tanh_gaussian" else features.clamp(-1, 1)
    assert torch.equal(learned(features).mode(), bounded[:, :3])
    assert torch.equal(constant(features).mode(), bounded)
    torch.testing.assert_close(constant(features).log_std.exp(), torch.full((4, 6), 0.5))


@pytest.mark.parametrize("std", [0.0, 1.0])
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_actions_at_the_bounds_give_finite_gradients(name: str, std: float) -> None:
    head, done = PolicyHead(name, std), torch.tensor([[1.0, -1.0, 1.0], [-1.0, 0.3, 1.0]])
    for size in (0.1, 10.0, 1e4):
        features = torch.full((2, head.num_features(3)), size, requires_grad=True)
        policy = head(features)
        value = policy.rsample_with_log_prob(torch.Generator().manual_seed(0))[0].sum(dim=1)
        for loss in (
            actor_loss_ddpg_bc(policy, value, done, bc_coef=0.1)[0],
            actor_loss_awr(policy, value, done, temperature=1.0)[0],
        ):
            (gradient,) = torch.autograd.grad(loss, features, retain_graph=True)
            assert loss.isfinite()
            assert gradient.isfinite().all()


def test_imitated_bounds_are_where_a_gaussian_ends_and_a_squashed_one_goes_on() -> None:
    means = {}
    for name in POLICIES:
        features, head = torch.zeros(2, requires_grad=True), PolicyHead(name, 1.0)
        optimizer = torch.optim.Adam([features], lr=0.1)
        for _ in range(300):
            optimizer.zero_grad()
            (-head(features).log_prob(torch.tensor([1.0, -1.0]))).backward()
            optimizer.step()
        means[name] = features.detach()
    torch.testing.assert_close(means["gaussian"], torch.tensor([1.0, -1.0]), rtol=0, atol=1e-3)
    torch.testing.assert_close(means["tanh_gaussian"], torch.tensor([7.25, -7.25]), rtol=0, atol=0.02)


def test_every_agent_with_a_gaussian_actor_has_both_and_begins_with_the_squashed() -> None:
    assert [*WITH_POLICY, "td3"] == sorted(AGENTS)
    assert {(d["policy"], d["policy_std"]) for d in map(AGENTS.defaults, WITH_POLICY)} == {("tanh_gaussian", 0.0)}


@pytest.mark.parametrize(("policy", "std"), OTHERS)
@pytest.mark.parametrize("name", WITH_POLICY)
def test_two_updates_of_every_agent(tiny, name: str, policy: str, std: float) -> None:
    run, memory = build_run(tiny(**parts_of(name, policy=policy, policy_std=std), **TWO_UPDATES)), Snapshots()
    before = copy.deepcopy(dict(run.agent.networks))
    fit(run, memory, Interrupt())
    assert run.progress.grad_steps == 2
    assert all(torch.tensor(list(row.values())).isfinite().all() for row in memory.rows)
    for p, q in zip(before["actor"].parameters(), run.agent.networks["actor"].parameters(), strict=True):
        assert not torch.equal(p, q)


def far_out(**settings: Any) -> tuple[Any, Observation, Tensor]:
    """An agent whose means lie on both sides of the bounds, observations, and its features there."""
    agent, seen = make_crl(**settings), observations(40)
    with torch.no_grad():
        for p in agent.networks["actor"].parameters():
            p.mul_(3)
    return agent, seen, agent.networks["actor"](torch.cat([seen.state, seen.goal], 1)).detach()


@pytest.mark.parametrize(("policy", "std"), OTHERS)
def test_acts_within_bounds(policy: str, std: float) -> None:
    agent, seen, features = far_out(policy=policy, policy_std=std)
    mean = features[:, :3]
    assert (mean.abs() > 1).any()
    expected = mean.clamp(-1, 1) if policy == "gaussian" else mean.tanh()
    torch.testing.assert_close(agent.act(seen, explore=False), expected)
    assert features.shape[1] == (3 if std else 6)
    noise = noise_of(agent.generators["explore"], 40, 3).float()
    drawn = mean + (std or (-5 + 3.5 * (features[:, 3:].tanh() + 1)).exp()) * noise
    expected = drawn.clamp(-1, 1) if policy == "gaussian" else drawn.tanh()
    torch.testing.assert_close(agent.act(seen, explore=True), expected)


@pytest.mark.parametrize(("policy", "std"), OTHERS)
def test_best_of_takes_the_draw_of_the_highest_value(policy: str, std: float) -> None:
    agent, seen, _ = far_out(policy=policy, policy_std=std, exploration="best_of", num_candidates=16)
    plain, _, _ = far_out(policy=policy, policy_std=std)
    best, drawn = agent.act(seen, explore=True), plain.act(seen, explore=True)
    assert best.abs().max() <= 1
    assert agent.value(seen, best).mean() > agent.value(seen, drawn).mean()


@pytest.mark.parametrize(("policy", "std"), [("tanh_gaussian", 0.0), *OTHERS])
def test_ddpg_bc_values_the_mode_where_nothing_is_learned_of_the_deviation(policy: str, std: float) -> None:
    agent, batch = make_crl(policy=policy, policy_std=std, actor_objective="ddpg_bc"), make_hindsight_batch()
    seen = Observation(batch.state, batch.goal)
    distribution = agent._actor.policy(batch.state, batch.goal)
    noise = torch.Generator()
    noise.set_state(agent.generators["actor_noise"].get_state())
    action = distribution.mode() if std else distribution.rsample_with_log_prob(noise)[0]
    expected = agent.value(seen, action).mean()
    torch.testing.assert_close(agent.update(batch)["actor/energy"], expected.detach())
    assert torch.equal(agent.generators["actor_noise"].get_state(), noise.get_state())


def test_max_entropy_values_what_is_carried_out() -> None:
    agent, batch = make_crl(policy="gaussian", policy_std=2.0), make_hindsight_batch()
    seen, noise = Observation(batch.state, batch.goal), noise_of(agent.generators["actor_noise"], 32, 3)
    before = agent.networks["actor"](torch.cat([batch.state, batch.goal], 1)).detach() + 2 * noise.float()
    expected = agent.value(seen, before.clamp(-1, 1)).mean().detach()
    log_prob = torch.distributions.Normal(0.0, 2.0).log_prob(2 * noise.float()).sum(1)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["actor/energy"], expected)
    torch.testing.assert_close(metrics["actor/entropy"], -log_prob.mean())


@pytest.mark.parametrize("objective", ["max_entropy", "ddpg_bc", "awr"])
@pytest.mark.parametrize(("policy", "std"), OTHERS)
def test_chunks_of_actions_at_the_bounds(policy: str, std: float, objective: str) -> None:
    agent, batch = make_crl(policy=policy, policy_std=std, chunk=3, actor_objective=objective), make_chunks()
    batch = replace(batch, action=batch.action.sign(), next_actions=batch.next_actions.sign())
    for _ in range(3):
        assert all(value.isfinite() for value in agent.update(batch).values())
    assert agent.act(observations(4), explore=True).shape == (4, 3)


@pytest.mark.parametrize("chunk", [1, 3])
def test_a_run_goes_on_bit_by_bit(tiny, same, chunk: int) -> None:
    settings = {"embedding_dim": 8, "policy": "gaussian", "policy_std": 1.0, "chunk": chunk, "evaluation": "sample"}
    config = tiny(agent=AGENTS.defaults("crl") | settings)
    assert_goes_on(config, 77, trained(config), same)


def test_the_default_by_name_is_the_default() -> None:
    plain, named = make_crl(), make_crl(policy="tanh_gaussian", policy_std=0.0)
    assert_same(named.update(make_hindsight_batch()), plain.update(make_hindsight_batch()))
    assert_same(named.state_dict(), plain.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "gausian"}, r"^Unknown agent.policy 'gausian'. Did you mean 'gaussian'\? Known: gaussian, tanh_g"),
        ({"policy_std": -0.1}, r"^agent.policy_std must be at least 0, got -0.1$"),
    ],
)
def test_refuses_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_crl(**settings)
