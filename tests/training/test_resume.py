"""A real run, stopped and resumed anywhere, equals one that was not, bit by bit."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from deepcrl.core.components import AGENTS, ENCODERS
from deepcrl.run import metrics
from deepcrl.run.checkpoint import CheckpointError, find, list_checkpoints
from deepcrl.run.directory import RunDir
from deepcrl.run.start import Start, fresh, resumed
from deepcrl.run.training import train_run
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit
from deepcrl.training.run import Run


class Snapshots:
    """Keeps rows, and every saved state as the bytes that a checkpoint would hold."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.states: dict[tuple[int, int], bytes] = {}

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def save(self, run: Run) -> None:
        file = io.BytesIO()
        torch.save(run.state_dict(), file)
        self.states[run.progress.env_steps, run.progress.grad_steps] = file.getvalue()

    def dump(self, run: Run) -> str:
        raise AssertionError("a finite run was dumped")


class StopAt(Interrupt):
    def __init__(self, run: Run, env_steps: int, grad_steps: int) -> None:
        super().__init__()
        self._run, self._at = run, (env_steps, grad_steps)

    @property
    def requested(self) -> bool:
        return (self._run.progress.env_steps, self._run.progress.grad_steps) >= self._at


def load(state: bytes) -> dict[str, Any]:
    return torch.load(io.BytesIO(state), weights_only=True)


def trained(config: Any) -> Snapshots:
    memory = Snapshots()
    fit(build_run(config), memory, Interrupt())
    return memory


_straight: dict[str, Snapshots] = {}


def straight_run(config: Any) -> Snapshots:
    """What an uninterrupted run of this configuration leaves; trained once for all tests that compare with it."""
    key = repr(config)
    if key not in _straight:
        _straight[key] = trained(config)
    return _straight[key]


# Every generator is in use: evaluation draws actions too. The ring of 20 steps wraps four times.
SAMPLED = {
    "agent": {"name": "crl", "embedding_dim": 8, "evaluation": "sample"},
    "buffer": {"name": "ring", "capacity": 20},
}


def test_every_checkpoint_goes_on_bit_by_bit(tiny, same) -> None:
    config = tiny(**SAMPLED)
    straight = straight_run(config)
    assert len(straight.states) == 5
    end = load(straight.states[400, 64])
    for (env_steps, grad_steps), state in straight.states.items():
        run, memory = build_run(config), Snapshots()
        run.load_state_dict(load(state))
        fit(run, memory, Interrupt())
        rows = [row for row in straight.rows if row["grad_steps"] <= grad_steps and row["env_steps"] <= env_steps]
        same(rows + memory.rows, straight.rows)
        same(load(memory.states[400, 64]), end)


@pytest.mark.parametrize("at", [(0, 0), (60, 0), (100, 1), (100, 4), (200, 23), (400, 63), (400, 64)])
def test_an_interrupt_anywhere_changes_nothing(tiny, same, at: tuple[int, int]) -> None:
    config = tiny(**SAMPLED)
    straight = straight_run(config)
    run, memory = build_run(config), Snapshots()
    fit(run, memory, StopAt(run, *at))
    assert list(memory.states)[-1] == at
    again = build_run(config)
    again.load_state_dict(load(memory.states[at]))
    fit(again, memory, Interrupt())
    same(memory.rows, straight.rows)
    same(load(memory.states[400, 64]), load(straight.states[400, 64]))


class StopAtCheck(Interrupt):
    """Asks to stop when it is looked at for the `number`-th time."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left <= 0


def assert_goes_on(config: Any, number: int, straight: Snapshots, same: Callable[[Any, Any], None]) -> None:
    """A run that stops at its `number`-th look whether to is resumed, and leaves what `straight` has left."""
    run, memory = build_run(config), Snapshots()
    fit(run, memory, StopAtCheck(number))
    again = build_run(config)
    again.load_state_dict(load(list(memory.states.values())[-1]))
    fit(again, memory, Interrupt())
    same(memory.rows, straight.rows)
    same(load(memory.states[400, 64]), load(straight.states[400, 64]))


# The first evaluation, its last step, an unroll, an evaluation after gradient steps; 33 checks or so are 20 env steps
@pytest.mark.parametrize("number", [2, 30, 40, 43, 46, 77, 95, 110, 120, 401])
def test_an_evaluation_or_an_unroll_cut_short_is_repeated_or_goes_on(tiny, same, number: int) -> None:
    config = tiny(**SAMPLED)
    straight = straight_run(config)
    assert_goes_on(config, number, straight, same)


def test_when_it_is_saved_changes_nothing(tiny, same, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(**SAMPLED)
    straight = straight_run(config)
    now = iter(range(0, 10**9, 400))  # two looks at the clock are less than ten minutes apart, three are more
    monkeypatch.setattr("deepcrl.training.loop.time.monotonic", lambda: next(now))
    often = trained(config)
    assert len(often.states) > 2 * len(straight.states)
    assert any(grad_steps % 4 for _, grad_steps in often.states)  # between gradient steps too
    same(often.rows, straight.rows)
    same(load(often.states[400, 64]), load(straight.states[400, 64]))


@pytest.mark.parametrize("name", sorted(AGENTS))
@pytest.mark.parametrize("at", [0, 1, 4, 13, 19])
def test_an_offline_run_goes_on_bit_by_bit(tiny, same, dataset: str, name: str, at: int) -> None:
    config = tiny(agent=AGENTS.defaults(name), buffer={"name": "dataset", "path": dataset}, total_grad_steps=20)
    straight = straight_run(config)
    run, memory = build_run(config), Snapshots()
    fit(run, memory, StopAt(run, 0, at))
    assert list(memory.states)[-1] == (0, at)
    again = build_run(config)
    again.load_state_dict(load(memory.states[0, at]))
    fit(again, memory, Interrupt())
    same(memory.rows, straight.rows)
    same(load(memory.states[0, 20]), load(straight.states[0, 20]))


def test_the_seed_decides_everything(tiny, same) -> None:
    first, again, other = (trained(tiny(seed=seed)).rows for seed in (0, 0, 1))
    same(first, again)
    assert first[-1]["critic/loss"] != other[-1]["critic/loss"]
    assert first[0]["eval/final_distance"] != other[0]["eval/final_distance"]


@pytest.mark.parametrize("name", sorted(AGENTS))
@pytest.mark.parametrize("reset", ["resample", "fixed"])
def test_each_agent_and_reset_policy_resumes(tiny, same, name: str, reset: str) -> None:
    config = tiny(agent=AGENTS.defaults(name), reset=reset, total_env_steps=160)
    straight = straight_run(config)
    run, memory = build_run(config), Snapshots()
    run.load_state_dict(load(straight.states[100, 4]))
    fit(run, memory, Interrupt())
    same(load(memory.states[160, 16]), load(straight.states[160, 16]))


@pytest.mark.parametrize("name", sorted(ENCODERS))
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_each_encoder_learns_and_resumes(tiny, same, name: str, precision: str) -> None:
    encoder = ENCODERS.defaults(name) | {"depth": 8, "width": 16}
    config = tiny(encoder=encoder, precision=precision, total_env_steps=160)
    before = [p.detach().clone() for net in build_run(config).agent.networks.values() for p in net.parameters()]
    straight = straight_run(config)
    run, memory = build_run(config), Snapshots()
    run.load_state_dict(load(straight.states[100, 4]))
    fit(run, memory, Interrupt())
    same(load(memory.states[160, 16]), load(straight.states[160, 16]))
    after = [p for net in run.agent.networks.values() for p in net.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_going_back_to_an_older_checkpoint(tiny, tmp_path: Path, same) -> None:
    run, config = tmp_path / "run", tiny(run_dir=str(tmp_path / "run"))
    train_run(fresh(config))
    straight, _ = metrics.read_rows(run / "metrics.jsonl")
    older, newest = list_checkpoints(run / "checkpoints")
    train_run(resumed(older.path, {"total_env_steps": 360}, {}))
    assert [row["env_steps"] for row in metrics.read_rows(run / "metrics.jsonl")[0]] == list(range(0, 361, 20))
    assert find(run).path.name.startswith("step_0000000000360")
    aside = newest.path.with_name(f"aside_{newest.path.name}")
    train_run(resumed(aside, {"total_env_steps": 440}, {}))  # and forth again
    rows, _ = metrics.read_rows(run / "metrics.jsonl")
    assert [row["env_steps"] for row in rows] == [*range(0, 361, 20), 420, 440]
    same(rows[:18], straight[:18])


def test_a_checkpoint_that_does_not_fit_changes_nothing(tiny, tmp_path: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    run = str(tmp_path / "run")
    train_run(fresh(tiny(run_dir=run, total_env_steps=160)))
    before = content()
    other = tiny(run_dir=run, encoder={"name": "residual_mlp", "width": 32})
    with pytest.raises(CheckpointError, match="does not fit this code or these settings: ") as raised:
        train_run(Start(other, find(run), RunDir(Path(run))))
    assert "\n" not in str(raised.value)
    assert content() == before
