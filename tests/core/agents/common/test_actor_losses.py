"""The losses of the actor against their formulas, and what the offline ones make of data good and bad."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.acting.policy import Policy, PolicyHead
from deepcrl.core.agents.common.acting.tanh_gaussian import TanhGaussian
from deepcrl.core.agents.common.actor_losses import (
    ACTOR_OBJECTIVES,
    actor_loss_awr,
    actor_loss_ddpg_bc,
    actor_loss_max_entropy,
)
from deepcrl.core.agents.crl import CRL
from deepcrl.core.components import AGENTS
from deepcrl.core.types import Batch
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit
from tests.core.agents.pieces import after_adam, assert_parameters, double, make_batch, make_inputs, noise_of, squashed
from tests.training.test_resume import Snapshots, StopAt, load, trained

OFFLINE = ("ddpg_bc", "awr")


def random_inputs(num: int = 7) -> tuple[TanhGaussian, Tensor, Tensor]:
    """Returns a policy, a value [B] that it could have drawn, both leaves of autograd, and the data's actions."""
    g = torch.Generator().manual_seed(0)
    mean, log_std, data_action = torch.randn(3, num, 2, generator=g, dtype=torch.float64)
    value = torch.randn(num, generator=g, dtype=torch.float64).requires_grad_()
    return TanhGaussian(mean.requires_grad_(), log_std.requires_grad_()), value, 0.9 * data_action.tanh()


def assert_imitates(policy: TanhGaussian, data_action: Tensor, weights: Tensor) -> None:
    """Asserts that the gradient is that of -sum(weights log_prob), with weights [B] that are constants."""
    leaves = (policy.mean, policy.log_std)
    for leaf in leaves:
        assert leaf.grad is not None
    expected = torch.autograd.grad(-(weights * policy.log_prob(data_action)).sum(), leaves)
    torch.testing.assert_close((policy.mean.grad, policy.log_std.grad), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("coef", [0.0, 0.7])
def test_max_entropy_is_its_formula(coef: float) -> None:
    policy, value, _ = random_inputs()
    log_prob = torch.linspace(-3, 2, 7, dtype=torch.float64).requires_grad_()
    loss, info = actor_loss_max_entropy(policy, value, log_prob, entropy_coef=coef, value_name="q")
    loss.backward()
    expected = sum(coef * lp - v for lp, v in zip(log_prob.tolist(), value.tolist(), strict=True)) / 7
    torch.testing.assert_close(loss.item(), expected)
    torch.testing.assert_close(value.grad, torch.full_like(value, -1 / 7))
    torch.testing.assert_close(log_prob.grad, torch.full_like(log_prob, coef / 7))
    assert info["actor/q"].item() == pytest.approx(sum(value.tolist()) / 7)
    assert info["actor/entropy"].item() == pytest.approx(-sum(log_prob.tolist()) / 7)
    assert not any(metric.requires_grad for metric in info.values())


@pytest.mark.parametrize("bc_coef", [0.0, 0.3, 10.0])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_ddpg_bc_is_its_formula(bc_coef: float, scale: float) -> None:
    policy, value, data_action = random_inputs()
    log_prob = policy.log_prob(data_action).detach()
    loss, info = actor_loss_ddpg_bc(policy, scale * value, data_action, bc_coef=bc_coef)
    loss.backward()
    size = sum(abs(v) for v in value.tolist()) / 7 + 1e-6 / scale
    expected = sum(-v / size - bc_coef * lp for v, lp in zip(value.tolist(), log_prob.tolist(), strict=True)) / 7
    torch.testing.assert_close(loss.item(), expected)
    assert value.grad is not None
    torch.testing.assert_close(value.grad, torch.full_like(value, -1 / size / 7))  # nothing through the divisor
    assert_imitates(policy, data_action, torch.full_like(value, bc_coef / 7).detach())
    assert info["actor/log_prob"].item() == pytest.approx(log_prob.mean().item())


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_awr_is_its_formula(temperature: float) -> None:
    policy, advantage, data_action = random_inputs()
    log_prob = policy.log_prob(data_action).detach()
    loss, info = actor_loss_awr(policy, advantage, data_action, temperature=temperature)
    loss.backward()
    weights = [min(torch.tensor(a / temperature).double().exp().item(), 100.0) for a in advantage.tolist()]
    assert temperature > 1 or max(weights) > 1
    expected = -sum(w * lp for w, lp in zip(weights, log_prob.tolist(), strict=True)) / 7
    torch.testing.assert_close(loss.item(), expected, rtol=1e-6, atol=0)
    assert_imitates(policy, data_action, torch.tensor(weights).double() / 7)
    assert advantage.grad is None
    assert info["actor/mse"].item() == pytest.approx((policy.mean.tanh() - data_action).square().mean().item())


def make_agent(objective: str, precision: str = "fp32", **hyperparameters: Any) -> CRL:
    return CRL(make_inputs(precision=precision), embedding_dim=8, actor_objective=objective, **hyperparameters)


def plain_batch() -> Batch:
    batch = make_batch()
    return Batch(batch.state, batch.action, batch.goal)


def energy(x: Tensor, y: Tensor) -> Tensor:
    return -torch.sqrt(((x - y) ** 2).sum(-1) + 1e-6)


def infonce(sa: Tensor, g: Tensor) -> Tensor:
    logits = energy(sa[:, None], g[None])
    lse = torch.logsumexp(logits, 1)
    return (lse - logits.diagonal()).mean() + 0.1 * (lse**2).mean()


def log_density(features: Tensor, action: Tensor) -> Tensor:
    mean, raw = features.chunk(2, dim=-1)
    normal = torch.distributions.Normal(mean, (-5 + 3.5 * (torch.tanh(raw) + 1)).exp())
    return (normal.log_prob(torch.atanh(action)) - torch.log(1 - action**2 + 1e-6)).sum(-1)


@pytest.mark.parametrize("objective", OFFLINE)
def test_an_update_is_the_papers(objective: str) -> None:
    agent, batch = make_agent(objective, bc_coef=0.4, awr_temperature=0.7), plain_batch()
    nets = {name: double(net) for name, net in agent.networks.items()}
    state, action, goal = batch.state.double(), batch.action.double(), batch.goal.double()
    phi, psi = nets["sa_encoder"], nets["goal_encoder"]
    features = nets["actor"](torch.cat([state, goal], 1))
    log_prob = log_density(features, action)
    expected = {}
    if objective == "ddpg_bc":
        drawn, _ = squashed(features, noise_of(agent.generators["actor_noise"], 32, 3))
        q = energy(phi(torch.cat([state, drawn], 1)), psi(goal))
        loss = -(q / (q.detach().abs().mean() + 1e-6)).mean() - 0.4 * log_prob.mean()
    else:
        value = energy(nets["state_encoder"](state), nets["value_goal_encoder"](goal))
        advantage = energy(phi(torch.cat([state, action], 1)), psi(goal)) - value
        loss = -((advantage.detach() / 0.7).exp().clamp(max=100) * log_prob).mean()
        value_nets = nn.ModuleList([nets["state_encoder"], nets["value_goal_encoder"]])
        value_loss = infonce(nets["state_encoder"](state), nets["value_goal_encoder"](goal))
        expected["value"] = (value_nets, after_adam(value_loss, value_nets.parameters(), 3e-4))
    expected["actor"] = (nets["actor"], after_adam(loss, nets["actor"].parameters(), 3e-4))
    critic = nn.ModuleList([phi, psi])
    critic_loss = infonce(phi(torch.cat([state, action], 1)), psi(goal))
    expected["critic"] = (critic, after_adam(critic_loss, critic.parameters(), 3e-4))
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["actor/loss"].double(), loss.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["actor/log_prob"].double(), log_prob.detach().mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["critic/loss"].double(), critic_loss.detach(), rtol=1e-4, atol=1e-5)
    ours = {
        "actor": ["actor"],
        "critic": ["sa_encoder", "goal_encoder"],
        "value": ["state_encoder", "value_goal_encoder"],
    }
    for name, (_, parameters) in expected.items():
        assert_parameters(nn.ModuleList([agent.networks[net] for net in ours[name]]), parameters)
    assert agent.scalars["log_alpha"] == 0


def learned(loss_of: Callable[[Policy], Tensor]) -> Tensor:
    """Returns the mode [3] of a policy that knows no states, after many steps down the loss."""
    features, head = torch.zeros(6, requires_grad=True), PolicyHead("tanh_gaussian", 0.0)
    optimizer = torch.optim.Adam([features], lr=0.08)
    for _ in range(150):
        optimizer.zero_grad()
        loss_of(head(features.expand(64, 6))).backward()
        optimizer.step()
    return head(features).mode().detach()


# Half of the actions have 0 in the first place, half 0.8. The critic likes 0 best, and sees nothing of the rest.
DATA = torch.full((64, 3), 0.5)
DATA[:, 0] = 0.8 * (torch.arange(64) % 2)


def likes_zero(action: Tensor) -> Tensor:
    return -5 * action[:, 0].abs()


@pytest.mark.parametrize(("temperature", "best"), [(0.2, True), (1e6, False)])
def test_awr_prefers_what_the_critic_prefers(temperature: float, best: bool) -> None:
    advantage = likes_zero(DATA) - likes_zero(DATA).mean()
    action = learned(lambda policy: actor_loss_awr(policy, advantage, DATA, temperature=temperature)[0])
    assert action[1:].sub(0.5).abs().max() < 0.05  # the rest is imitated
    assert (action[0].abs() < 0.05) == best


@pytest.mark.parametrize(("bc_coef", "imitates"), [(0.0, False), (0.1, True)])
def test_ddpg_bc_imitates_what_the_critic_does_not_see(bc_coef: float, imitates: bool) -> None:
    noise = torch.Generator().manual_seed(0)

    def loss_of(policy: Policy) -> Tensor:
        action, _ = policy.rsample_with_log_prob(noise)
        return actor_loss_ddpg_bc(policy, likes_zero(action), DATA, bc_coef=bc_coef)[0]

    action = learned(loss_of)
    assert action[0].abs() < 0.2
    assert (action[1:].sub(0.5).abs().max() < 0.1) == imitates


@pytest.mark.parametrize("objective", OFFLINE)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_random_goals_are_the_actors_only(objective: str, share: float) -> None:
    batch = plain_batch()
    mixed = torch.cat([batch.goal.roll(1, 0)[: round(32 * share)], batch.goal[round(32 * share) :]])
    metrics = make_agent(objective, random_goals=share).update(batch)
    expected = make_agent(objective).update(dataclasses.replace(batch, goal=mixed))
    same = make_agent(objective).update(batch)
    for name in ("actor/loss", "actor/log_prob"):
        torch.testing.assert_close(metrics[name], expected[name])
    for name in same.keys() & {"critic/loss", "critic/value_loss"}:
        assert torch.equal(metrics[name], same[name])


def test_the_networks_of_the_value_are_there_for_awr_only() -> None:
    networks = {objective: set(make_agent(objective).networks) for objective in ACTOR_OBJECTIVES}
    assert networks["max_entropy"] == networks["ddpg_bc"] == {"actor", "sa_encoder", "goal_encoder"}
    assert networks["awr"] - networks["ddpg_bc"] == {"state_encoder", "value_goal_encoder"}


@pytest.mark.parametrize("objective", OFFLINE)
def test_an_offline_run_goes_on_bit_by_bit(tiny, same, dataset: str, objective: str) -> None:
    agent = AGENTS.defaults("crl") | {"embedding_dim": 8, "actor_objective": objective}
    config = tiny(agent=agent, buffer={"name": "dataset", "path": dataset}, total_grad_steps=20)
    straight, run, memory = trained(config), build_run(config), Snapshots()
    fit(run, memory, StopAt(run, 0, 7))
    resumed = build_run(config)
    resumed.load_state_dict(load(memory.states[0, 7]))
    fit(resumed, memory, Interrupt())
    same(memory.rows, straight.rows)
    same(load(memory.states[0, 20]), load(straight.states[0, 20]))


@pytest.mark.parametrize("objective", OFFLINE)
def test_bf16_changes_the_numbers_a_little(objective: str) -> None:
    full, half = (
        make_agent(objective, precision).update(plain_batch())["actor/loss"] for precision in ("fp32", "bf16")
    )
    assert full != half
    torch.testing.assert_close(full, half, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"actor_objective": "ddpgbc"}, "^Unknown actor objective 'ddpgbc'. Did you mean 'ddpg_bc'\\? Known: awr, "),
        ({"bc_coef": -0.1}, "^agent.bc_coef must be at least 0, got -0.1$"),
        ({"awr_temperature": 0.0}, "^agent.awr_temperature must be greater than 0, got 0.0$"),
    ],
)
def test_refuses_in_one_line(hyperparameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CRL(make_inputs(), **hyperparameters)
