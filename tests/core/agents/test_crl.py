"""CRL against a slow, obvious implementation of one update; its critics are in test_crl_critics.py."""

import copy
from functools import partial

import pytest
import torch

from deepcrl.core.agents.common.two_threads import TwoThreadedAgent
from deepcrl.core.components import ENCODERS
from deepcrl.core.types import Batch, Observation
from tests.conftest import assert_same
from tests.core.agents.pieces import make_crl as make_agent
from tests.core.agents.pieces import make_hindsight_batch as make_batch


def reference_update(agent, batch, noise, lr=3e-4, entropy_bonus=True, critic_first=False):
    """One update by the paper's equations and the released code's order; returns losses and new parameters."""

    def steps(loss, parameters):
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        # Adam's first step, with optax's and torch's defaults
        return [p.detach() - lr * g / (g.abs() + 1e-8) for p, g in zip(parameters, gradients, strict=True)]

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

    after, critic = {}, [*phi.parameters(), *psi.parameters()]
    embeddings = phi(torch.cat([batch.state, batch.action], 1))
    logits = energy(embeddings[:, None], psi(batch.goal)[None])
    lse = torch.logsumexp(logits, 1)
    critic_loss = -(logits.diagonal() - lse).mean() + 0.1 * ((lse) ** 2).mean()
    after["critic"] = steps(critic_loss, critic)
    if critic_first:
        for p, new in zip(critic, after["critic"], strict=True):
            p.data = new
    q = energy(phi(torch.cat([batch.state, action], 1)), psi(batch.goal))
    actor_loss = ((log_alpha.detach().exp() * log_prob if entropy_bonus else 0) - q).mean()
    alpha_loss = (log_alpha.exp() * (-log_prob.detach() - (-0.5 * 3))).mean()
    after["actor"] = steps(actor_loss, list(actor.parameters()))
    after["temperature"] = steps(alpha_loss, [log_alpha])
    return {"actor": actor_loss, "critic": critic_loss, "log_prob": log_prob}, after


@pytest.mark.parametrize(
    ("entropy_bonus", "order"), [(True, "actor_first"), (False, "actor_first"), (True, "critic_first")]
)
def test_an_update_is_the_papers(entropy_bonus, order):
    agent, batch = make_agent(entropy_bonus=entropy_bonus, update_order=order), make_batch()
    draws = torch.Generator()
    draws.set_state(agent.generators["actor_noise"].get_state())
    noise = torch.randn(32, 3, generator=draws)
    losses, after = reference_update(
        agent, batch, noise, entropy_bonus=entropy_bonus, critic_first=order == "critic_first"
    )
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
def test_two_threads_take_the_same_step(objective, num_critics):
    """Bit for bit, with a network that writes into shared memory if anything does: the trunk of native kernels."""
    encoder = partial(ENCODERS.build, {"name": "residual_mlp", "depth": 4, "width": 32})

    def trained(*, two_threads):
        agent = make_agent(encoder, energy="iqe", actor_objective=objective, num_critics=num_critics)
        if two_threads:
            agent.two_threads.start()
        return [agent.update(make_batch()) for _ in range(5)], agent.state_dict()

    assert_same(trained(two_threads=True), trained(two_threads=False))


def test_without_an_actor_objective_the_critic_alone_learns():
    agent, usual, batch = make_agent(actor_objective="none"), make_agent(), make_batch()
    before = copy.deepcopy(agent.networks["actor"].state_dict())
    first, expected = agent.update(batch), usual.update(batch)
    assert {name: value for name, value in expected.items() if name.startswith("critic/")} == first
    assert_same(agent.networks["actor"].state_dict(), before)
    assert_same(agent.networks["sa_encoder"].state_dict(), usual.networks["sa_encoder"].state_dict())
    assert agent.scalars["log_alpha"] == 0


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


def test_only_halves_that_need_not_wait_for_each_other_get_two_threads():
    assert isinstance(make_agent(), TwoThreadedAgent)
    assert not isinstance(make_agent(update_order="critic_first"), TwoThreadedAgent)


def test_the_temperature_raises_entropy_that_is_too_low():
    agent, batch = make_agent(target_entropy_per_action=5.0, temperature_lr=0.01), make_batch()
    for _ in range(5):
        agent.update(batch)
    assert agent.scalars["log_alpha"] > 0


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
        ("actor_lr", -1.0, "agent.actor_lr must be greater than 0, got -1.0"),
        ("critic_lr", 0.0, "agent.critic_lr must be greater than 0, got 0.0"),
        ("temperature_lr", -0.1, "agent.temperature_lr must be greater than 0"),
        ("random_goals", 1.5, "agent.random_goals is a share between 0 and 1, got 1.5"),
        ("embedding_l2_coef", -0.1, "agent.embedding_l2_coef must be at least 0, got -0.1"),
        ("num_critics", 0, "agent.num_critics must be greater than 0, got 0"),
        ("num_candidates", 0, "agent.num_candidates must be greater than 0"),
        ("exploration", "best", "Unknown action choice 'best'. Did you mean 'best_of'"),
        ("evaluation", "determinstic", "Did you mean 'deterministic'"),
        ("update_order", "critic", "Unknown agent.update_order 'critic'. Did you mean 'critic_first'"),
    ],
)
def test_refuses_values_out_of_range(hyperparameter, value, message):
    with pytest.raises(ValueError, match=message):
        make_agent(**{hyperparameter: value})
