"""fit(): the schedule, driven with parts that only count; it knows no environment, loss or network."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.core.components import REGISTRIES
from deepcrl.core.types import Batch, EnvError, EnvSpec, Observation, Step
from deepcrl.training import loop
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import NonFiniteError, fit
from deepcrl.training.progress import Progress
from deepcrl.training.run import Run
from deepcrl.training.schedule import Schedule


class CountingEnvs:
    """Two-dimensional states that hold the number of the step, so that mixed up ones show."""

    spec = EnvSpec(state_dim=2, action_dim=1, goal_indices=(0,))
    num_unstable = 0

    def __init__(self, num_envs: int, episode_length: int) -> None:
        self.num_envs, self.episode_length, self.steps = num_envs, episode_length, 0

    def _observe(self) -> Observation:
        return Observation(torch.full((self.num_envs, 2), float(self.steps)), torch.zeros(self.num_envs, 1))

    def reset(self) -> Observation:
        return self._observe()

    def step(self, action: Tensor) -> Step:
        self.steps += 1
        no = torch.zeros(self.num_envs, dtype=torch.bool)
        ids = torch.zeros(self.num_envs, dtype=torch.int64)
        observation = self._observe()
        return Step(observation, observation.state, torch.ones(self.num_envs), ~no, no, no, ids)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]


class CountingAgent:
    needs_transitions = False
    networks: dict[str, torch.nn.Module] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.updates, self.explored, self.loss = 0, 0, 1.0

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        self.explored += explore
        return observation.state[:, :1]

    def update(self, batch: Batch) -> dict[str, Tensor]:
        self.updates += 1
        return {"critic/loss": torch.tensor(self.loss * self.updates)}

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]


class CountingBuffer:
    nbytes = 0

    def __init__(self) -> None:
        self.inserted: list[tuple[float, float]] = []
        self.sampled: list[int] = []

    def insert(self, observation: Observation, action: Tensor, step: Step) -> None:
        self.inserted.append((float(observation.state[0, 0]), float(action[0, 0])))

    def sample(self, batch_size: int) -> Batch:
        self.sampled.append(batch_size)
        return Batch(*torch.zeros(3, batch_size, 1).unbind())

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Memory:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.saves: list[tuple[int, int]] = []
        self.dumps = 0

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def save(self, run: Run) -> None:
        self.saves.append((run.progress.env_steps, run.progress.grad_steps))

    def dump(self, run: Run) -> str:
        self.dumps += 1
        return "nan_dump"

    def evaluated(self) -> list[float]:
        return [row["env_steps"] for row in self.rows if "eval/time_at_goal" in row]


class StopAt(Interrupt):
    """Asks to stop once the run has come to so many steps."""

    def __init__(self, run: Run, *, env_steps: int = 0, grad_steps: int = 0) -> None:
        super().__init__()
        self._run, self._env_steps, self._grad_steps = run, env_steps, grad_steps

    @property
    def requested(self) -> bool:
        done = self._run.progress
        return done.env_steps >= self._env_steps and done.grad_steps >= self._grad_steps


def counting_run(config: Any) -> Any:
    envs = CountingEnvs(config.num_envs, config.episode_length)
    eval_envs = CountingEnvs(config.num_eval_envs, config.episode_length)
    parts = {"agent": CountingAgent(), "buffer": CountingBuffer(), "device": torch.device("cpu")}
    return Run(config, Schedule.of(config), envs, eval_envs, progress=Progress(), observation=envs.reset(), **parts)


def test_the_schedule_is_kept(tiny) -> None:
    run, memory = counting_run(tiny()), Memory()
    fit(run, memory, Interrupt())
    assert [row["env_steps"] for row in memory.rows] == [20 * i for i in range(21)]
    assert [row["grad_steps"] for row in memory.rows] == [0] * 5 + [4 * i for i in range(1, 17)]
    assert run.agent.updates == 64
    assert run.buffer.sampled == [16] * 64
    assert run.agent.explored == 100 + 5 * 20, "in unrolls, and in each evaluation"
    assert memory.evaluated() == [0, 100, 200, 300, 400]
    assert memory.saves == [(0, 0), (100, 4), (200, 24), (300, 44), (400, 64), (400, 64)]
    assert run.finished


@pytest.mark.parametrize(
    ("every", "at"),
    [(90, [0, 100, 180, 280, 360, 400]), (1, list(range(0, 401, 20))), (10_000, [0, 400])],
)
def test_evaluates_when_a_multiple_is_passed_and_at_the_end(tiny, every: int, at: list[int]) -> None:
    memory = Memory()
    fit(counting_run(tiny(eval_every=every)), memory, Interrupt())
    assert memory.evaluated() == at


def test_an_offline_run_collects_nothing(tiny) -> None:
    config = tiny(buffer={"name": "dataset"}, total_grad_steps=66, eval_every=20, checkpoint_every=32)
    run, memory = counting_run(config), Memory()
    run.envs = run.observation = None
    fit(run, memory, Interrupt())
    assert [row["grad_steps"] for row in memory.rows] == list(range(0, 65, 4))
    assert {row["env_steps"] for row in memory.rows} == {0}
    assert (run.agent.updates, run.agent.explored) == (64, 5 * 20), "in evaluations only"
    assert [row["grad_steps"] for row in memory.rows if "eval/time_at_goal" in row] == [0, 20, 40, 60, 64]
    assert memory.saves == [(0, 0), (0, 32), (0, 64), (0, 64)]
    assert not any(name.startswith(("train/", "env/", "time/collect")) for row in memory.rows for name in row)


@pytest.mark.parametrize("grad_steps", [0, 1, 4, 31, 64])
def test_an_interrupted_offline_run_goes_on_as_if_it_had_not_been(tiny, same, grad_steps: int) -> None:
    def offline() -> Any:
        run = counting_run(tiny(buffer={"name": "dataset"}, total_grad_steps=64))
        run.envs = run.observation = None
        return run

    straight, memory, first = Memory(), Memory(), offline()
    fit(offline(), straight, Interrupt())
    fit(first, memory, StopAt(first, grad_steps=grad_steps))
    assert first.progress.grad_steps == grad_steps
    second = offline()
    second.load_state_dict(first.state_dict())
    fit(second, memory, Interrupt())
    same(memory.rows, straight.rows)


def test_stores_the_state_that_was_acted_in(tiny) -> None:
    run = counting_run(tiny())
    fit(run, Memory(), Interrupt())
    assert run.buffer.inserted == [(float(i), float(i)) for i in range(100)]


def test_a_row_says_what_happened_in_its_unroll(tiny) -> None:
    memory = Memory()
    fit(counting_run(tiny()), memory, Interrupt())
    untrained, prefill, last = memory.rows[0], memory.rows[1], memory.rows[-1]
    assert "critic/loss" not in untrained
    assert "critic/loss" not in prefill
    assert last["critic/loss"] == (61 + 62 + 63 + 64) / 4
    assert last["train/time_at_goal"] == 20
    assert last["train/distance"] == 1
    assert last["eval/time_at_goal"] == 20
    assert {"time/collect_seconds", "time/learn_seconds", "wall_seconds"} <= last.keys()


@pytest.mark.parametrize("stop", [{}, {"env_steps": 40}, {"grad_steps": 1}, {"grad_steps": 4}, {"grad_steps": 64}])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tiny, same, stop: dict[str, int]) -> None:
    straight = Memory()
    fit(counting_run(tiny(eval_every=20)), straight, Interrupt())
    first, memory = counting_run(tiny(eval_every=20)), Memory()
    fit(first, memory, StopAt(first, **stop))
    assert first.progress.grad_steps == stop.get("grad_steps", 0)
    assert memory.saves[-1] == (first.progress.env_steps, first.progress.grad_steps)
    second = counting_run(tiny(eval_every=20))
    second.load_state_dict(first.state_dict())
    fit(second, memory, Interrupt())
    same(memory.rows, straight.rows)


def test_a_request_during_an_evaluation_starts_no_new_unroll(tiny) -> None:
    run = counting_run(tiny())
    interrupt, memory = Interrupt(), Memory()

    def log(row: dict[str, float]) -> None:
        memory.rows.append(row)
        if row["env_steps"] == 100:
            interrupt.signal_number = 2

    memory.log = log
    fit(run, memory, interrupt)
    assert run.progress.env_steps == 100
    assert memory.saves[-1] == (100, 4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_stops_the_run(tiny, value: float) -> None:
    run, memory = counting_run(tiny()), Memory()
    run.agent.loss = value
    with pytest.raises(NonFiniteError, match=f"after 4 gradient steps: critic/loss={value}. State dumped to nan_dump"):
        fit(run, memory, Interrupt())
    assert (memory.dumps, memory.saves) == (1, [(0, 0)])


@pytest.mark.parametrize(("which", "saves"), [("envs", [(0, 0)]), ("eval_envs", [])])
def test_an_environment_that_cannot_be_gone_on_with_stops_the_run_after_a_dump(tiny, which: str, saves: list) -> None:
    run, memory = counting_run(tiny()), Memory()

    def fail(action: Tensor) -> Step:
        raise EnvError("env.id=X: the sensor is gone")

    getattr(run, which).step = fail
    with pytest.raises(EnvError, match="^env.id=X: the sensor is gone. State dumped to nan_dump$"):
        fit(run, memory, Interrupt())
    assert (memory.dumps, memory.saves) == (1, saves)


def test_an_interrupt_does_not_save_garbage(tiny) -> None:
    run, memory = counting_run(tiny()), Memory()
    run.agent.loss = float("nan")
    with pytest.raises(NonFiniteError, match="after 2 gradient steps"):
        fit(run, memory, StopAt(run, grad_steps=2))
    assert (memory.dumps, memory.saves) == (1, [(0, 0)])


def test_the_loop_names_no_component() -> None:
    tree = ast.parse(inspect.getsource(loop))
    words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = {name for registry in REGISTRIES.values() for name in registry} - {"none"}
    assert not words & names
