"""AC-CRL: chunks of actions in the critic, in the actor and in the acting."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.action_chunks import Chunks, Plan
from deepcrl.core.agents.crl import CRL
from deepcrl.core.components import AGENTS
from deepcrl.core.types import FutureBatch, Futures, Observation
from deepcrl.training.build import build_run
from deepcrl.training.loop import fit
from tests.conftest import assert_same
from tests.core.agents.common.test_cuda_graph import Tape
from tests.core.agents.pieces import SPEC, make_batch, make_crl
from tests.training.test_resume import Snapshots, StopAtCheck, assert_goes_on, trained


def make_chunks(size: int = 32, length: int = 3, seed: int = 1) -> FutureBatch:
    """Rows with 0 to 3 steps left, each with `length` actions, 0 beyond the end; no trajectory fell."""
    g = torch.Generator().manual_seed(seed)
    known, steps_left = dataclasses.asdict(make_batch(size, seed)), torch.arange(size) % 4
    later = torch.rand(size, length - 1, 3, generator=g) * 1.8 - 0.9
    later *= (torch.arange(1, length) <= steps_left[:, None])[..., None]
    fell = torch.zeros(size, dtype=torch.bool)
    return FutureBatch(
        **known, steps_left=steps_left, fell=fell, next_actions=later, achieved_ahead=torch.zeros(size, 0, 2)
    )


def observations(num: int, seed: int = 5) -> Observation:
    g = torch.Generator().manual_seed(seed)
    return Observation(torch.randn(num, 5, generator=g), torch.randn(num, 2, generator=g))


def test_a_chunk_is_its_rows_actions_one_after_the_other() -> None:
    batch = make_chunks(length=4)
    chunks = Chunks(3, "mask")
    joined, counts = chunks.of(batch), chunks.row_weight(batch)
    assert counts is not None
    for i, left in enumerate(batch.steps_left.tolist()):
        expected = [batch.action[i], *batch.next_actions[i, :2]]
        assert torch.equal(joined[i], torch.cat(expected))
        assert counts[i] == (left >= 2)
    assert Chunks(3, "zero_pad").row_weight(batch) is None
    assert Chunks(1, "mask").row_weight(batch) is None
    assert Chunks(1, "mask").of(batch) is batch.action


def test_one_action_is_crl_bit_for_bit_whatever_the_batch_knows_of_the_next() -> None:
    plain, ours = make_crl(), make_crl(chunk=1, chunk_ends="zero_pad")
    for seed in range(3):
        assert_same(ours.update(make_chunks(seed=seed)), plain.update(make_batch(seed=seed)))
    assert_same(ours.state_dict(), plain.state_dict())
    assert CRL.needs_futures(AGENTS.defaults("crl")) is None
    assert CRL.needs_futures(AGENTS.defaults("crl") | {"chunk": 3}) == Futures(chunk=3)


def chosen(plan: Plan, chunks: Tensor, firsts: list[Tensor | None]) -> Tensor:
    return torch.stack([plan.next_action(c, first) for c, first in zip(chunks, firsts, strict=True)])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_plan_is_carried_out_to_its_end_or_to_a_new_beginning(length: int) -> None:
    g = torch.Generator().manual_seed(0)
    chunks = torch.rand(40, 4, length * 2, generator=g)
    firsts = [None if t in (0, 17) else torch.rand(4, generator=g) < 0.2 for t in range(40)]
    taken = chosen(Plan(length), chunks, firsts)
    for env in range(4):
        begun, position = 0, 0
        for t, first in enumerate(firsts):
            if first is None or first[env] or position == length:
                begun, position = t, 0
            assert torch.equal(taken[t, env], chunks[begun, env].view(length, 2)[position])
            position += 1


def test_a_plan_goes_on_from_its_state() -> None:
    g = torch.Generator().manual_seed(0)
    chunks, no = torch.rand(9, 4, 6, generator=g), torch.zeros(4, dtype=torch.bool)
    plan, other = Plan(3), Plan(3)
    chosen(plan, chunks[:4], [no] * 4)
    other.load_state_dict(plan.state_dict(), action_dim=2)
    assert torch.equal(chosen(other, chunks[4:], [no] * 5), chosen(plan, chunks[4:], [no] * 5))
    for bad, message in (
        ({"taken": torch.full((4,), 4)}, "plan/taken holds numbers outside 0 to 3"),
        ({"chunks": torch.zeros(4, 2, 2)}, r"plan/chunks has shape \[4, 2, 2\], not \[4, 3, 2\]"),
    ):
        with pytest.raises(ValueError, match=message):
            other.load_state_dict(plan.state_dict() | bad, action_dim=2)


def test_exploring_and_evaluating_have_plans_of_their_own() -> None:
    alone, mixed = (make_crl(chunk=3, evaluation="sample") for _ in range(2))
    seen = dataclasses.replace(observations(4), first=torch.zeros(4, dtype=torch.bool))
    for _ in range(4):
        expected = alone.act(seen, explore=True)
        assert torch.equal(mixed.act(seen, explore=True), expected)
        mixed.act(observations(7), explore=False)
    assert mixed.state_dict()["plan"]["taken"].tolist() == [1] * 4
    assert mixed.state_dict()["plan"]["chunks"].shape == (4, 3, 3)


def test_the_entropy_aims_at_all_actions() -> None:
    agent = make_crl(chunk=3, target_entropy_per_action=-0.7)
    assert agent._temperature._target_entropy == pytest.approx(-0.7 * 3 * SPEC.action_dim)


def test_rows_that_end_early_are_no_positives_but_negatives() -> None:
    """The loss by hand: they weigh 0 in the mean over all rows, and stay in the logsumexp and its penalty."""
    agent, batch = make_crl(chunk=3), make_chunks()
    padded = make_crl(chunk=3, chunk_ends="zero_pad")
    sa = agent.embed(Observation(batch.state, batch.goal), Chunks(3, "mask").of(batch))
    logits = agent._critics[0].energy.pairwise(sa, agent.embed_goal(batch.goal)).detach()
    logsumexp = logits.logsumexp(1)
    rows, whole = logsumexp - logits.diagonal(), batch.steps_left >= 2
    penalty = 0.1 * logsumexp.square().mean()
    torch.testing.assert_close(agent.update(batch)["critic/loss"], rows[whole].sum() / len(rows) + penalty)
    torch.testing.assert_close(padded.update(batch)["critic/loss"], rows.mean() + penalty)


@pytest.mark.parametrize("objective", ["ddpg_bc", "awr"])
def test_no_one_imitates_what_was_not_done(objective: str) -> None:
    """Actions after an end are unknown: whatever stands there moves no actor."""
    batch = make_chunks()
    noise = torch.rand_like(batch.next_actions) * (batch.steps_left < 2)[:, None, None]
    other = dataclasses.replace(batch, next_actions=batch.next_actions + 0.1 * noise)
    losses = [make_crl(chunk=3, actor_objective=objective).update(b)["actor/loss"] for b in (batch, other)]
    torch.testing.assert_close(losses[0], losses[1])
    padded = [
        make_crl(chunk=3, actor_objective=objective, chunk_ends="zero_pad").update(b)["actor/loss"]
        for b in (batch, other)
    ]
    assert not torch.isclose(*padded)


def test_a_value_is_of_a_chunk_or_of_an_action_that_the_policy_goes_on_from() -> None:
    agent, seen = make_crl(chunk=3), observations(6)
    chunk = agent._actor.policy(seen.state, seen.goal).mode()
    first = chunk[:, :3]
    torch.testing.assert_close(agent.value(seen, first), agent.value(seen, chunk))
    torch.testing.assert_close(agent.embed(seen, first), agent.embed(seen, chunk))
    many = torch.stack([chunk, -chunk])
    assert agent.value(seen, many).shape == agent.value(seen, many[..., :3]).shape == (2, 6)
    assert not torch.allclose(agent.value(seen, many)[1], agent.value(seen, many[..., :3])[1])


def test_best_of_scores_whole_chunks() -> None:
    agent, seen = make_crl(chunk=2, evaluation="best_of", num_candidates=5), observations(4)
    scored = []
    value = agent.value

    def spy(observation: Observation, action: Tensor) -> Tensor:
        scored.append(action.shape)
        return value(observation, action)

    agent._actor._exploit.keywords["value"] = spy  # pyright: ignore[reportFunctionMemberAccess]
    assert agent.act(seen, explore=False).shape == (4, 3)
    assert scored == [(5, 4, 6)]


def test_a_recorded_update_is_its_own() -> None:
    from deepcrl.core.agents.common.cuda_graph import CudaGraphAgent

    plain, agent = make_crl(chunk=3), make_crl(chunk=3)
    graphed = CudaGraphAgent(agent, Tape(agent))
    for seed in range(6):
        assert_same(graphed.update(make_chunks(seed=seed)), plain.update(make_chunks(seed=seed)))


def test_two_actions_show_what_one_cannot() -> None:
    """The goal is where the second action points, which is independent of the first."""
    g, accuracy = torch.Generator().manual_seed(0), {}
    for length in (1, 2):
        agent = make_crl(chunk=length, critic_lr=3e-3)
        for _ in range(400):
            second = torch.rand(64, 1, 3, generator=g) * 2 - 1
            batch = make_chunks(64)
            batch = dataclasses.replace(
                batch, goal=second[:, 0, :2], next_actions=second, steps_left=torch.ones(64, dtype=torch.int64)
            )
            accuracy[length] = agent.update(batch)["critic/categorical_accuracy"]
    assert accuracy[1] < 0.1
    assert accuracy[2] > 0.5


CHUNKED: dict[str, Any] = {
    "agent": AGENTS.defaults("crl") | {"embedding_dim": 8, "chunk": 3, "evaluation": "sample", "survival": "both"},
    "buffer": {"name": "ring", "capacity": 20},
}


# in an unroll, whose plans are then in the middle; in an evaluation; between gradient steps
@pytest.mark.parametrize("number", [46, 77, 95, 110])
def test_a_run_stopped_anywhere_goes_on_with_its_plans(tiny, same, number: int) -> None:
    config = tiny(**CHUNKED)
    assert_goes_on(config, number, trained(config), same)


def test_each_unroll_begins_with_new_plans(tiny) -> None:
    run = build_run(tiny(**CHUNKED))
    taken = []
    act = run.agent.act

    def spy(observation: Observation, *, explore: bool) -> Tensor:
        action = act(observation, explore=explore)
        if explore and run._before_evaluation is None:  # not in an evaluation
            taken.append(int(run.agent.state_dict()["plan"]["taken"][0]))
        return action

    run.agent.act = spy
    fit(run, Snapshots(), StopAtCheck(80))
    assert taken[:15] == [1, 2, 3, 1, 2] * 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chunk": 0}, r"^agent.chunk must be at least 1, got 0$"),
        ({"chunk": 10**9}, r"^agent.chunk must be at most 1000, got 1000000000$"),
        ({"chunk": 2, "chunk_ends": "masked"}, r"^Unknown agent.chunk_ends 'masked'. Did you mean 'mask'\? Known: "),
        ({"chunk": 2, "loss": "fb"}, r"^agent.chunk=2 with chunk_ends=mask weights the rows of the loss, which only t"),
    ],
)
def test_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as info:
        make_crl(**settings)
    assert "\n" not in str(info.value)


def test_other_losses_take_padded_chunks() -> None:
    assert make_crl(chunk=2, chunk_ends="zero_pad", loss="fb").update(make_chunks())["critic/loss"].isfinite()
