"""A state of any content is refused in one line, or trained on: what is loaded never fails later."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from deepcrl.core.components import AGENTS
from deepcrl.run.checkpoint import CheckpointError, fitting
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import collect, learn
from deepcrl.training.run import Run
from tests.tiny import tiny_config

GONE = object()
ADAM = ("agent", "optimizers", "critic")
CRAFTED: list[tuple[tuple[Any, ...], Any]] = [
    (("envs",), "abc"),
    (("envs", "goal"), torch.full((4, 2), torch.nan)),
    (("envs", "steps"), torch.zeros(4)),
    (("envs", "started"), 10**30),
    (("envs", "num_unstable"), float("nan")),
    (("envs", "generator"), torch.zeros(3, dtype=torch.uint8)),
    (("envs", "first", "qpos"), torch.zeros(3, 7)),
    (("envs", "first", "goal"), GONE),
    (("eval_envs", "physics"), None),
    (("observation",), None),
    (("observation", "state"), torch.zeros(3, 7)),
    (("observation", "goal"), torch.full((4, 2), torch.inf)),
    (("agent",), []),
    (("agent", "networks", "actor"), 3),
    (("agent", "networks", "actor", "weight"), torch.nan),
    (("agent", "generators"), {}),
    (("agent", "num_updates"), "7"),
    (("agent", "actor_metrics"), [1]),
    (("agent", "actor_metrics", "actor/loss"), torch.zeros(2)),
    ((*ADAM, "state", 0), []),
    ((*ADAM, "state", 0, "exp_avg"), torch.zeros(2)),
    ((*ADAM, "state", 0, "exp_avg_sq"), GONE),
    ((*ADAM, "state", 0, "exp_avg"), torch.nan),
    ((*ADAM, "state", 0, "exp_avg_sq"), torch.nan),
    ((*ADAM, "param_groups", 0, "params", 0), float("nan")),
    ((*ADAM, "param_groups", 0, "lr"), "fast"),
    ((*ADAM, "param_groups", 0, "betas"), (0.9,)),
    ((*ADAM, "param_groups", 0, "amsgrad"), None),
    ((*ADAM, "param_groups"), GONE),
    (("buffer", "num_steps"), -1),
    (("buffer", "num_steps"), 10**30),
    (("buffer", "head"), torch.tensor(10**6)),
    (("buffer", "tail"), torch.tensor(-3)),
    (("buffer", "drawable"), GONE),
    (("buffer", "state"), torch.zeros(1)),
    (("buffer", "traj_id"), torch.zeros(1, 1, dtype=torch.int32)),
    (("progress",), None),
    (("progress", "env_steps"), "many"),
    (("progress", "pending_grad_steps"), -1),
    (("progress", "row"), {"train/loss": "x"}),
    (("progress", "sums"), {"critic/loss": torch.zeros(3)}),
    (("progress", "wall_seconds"), None),
    (("progress", "started"), "yes"),
]


@pytest.fixture(scope="module")
def saved() -> tuple[Run, dict[str, Any]]:
    """A run, and its state in the middle."""
    run = build_run(tiny_config(agent=AGENTS.defaults("td3"), reset="fixed"))
    for _ in range(6):
        collect(run, Interrupt())
        learn(run, Interrupt())
        run.progress.take_row()
    return run, copy.deepcopy(run.state_dict())


def crafted(state: Any, keys: tuple[Any, ...], value: Any) -> Any:
    """Returns the state with another value at the end of `keys`, or without that key."""
    if not keys:
        return torch.full_like(state, torch.nan) if value is torch.nan and isinstance(state, torch.Tensor) else value
    items = dict(state) if isinstance(state, dict) else dict(enumerate(state))
    items[keys[0]] = crafted(items[keys[0]], keys[1:], value)
    items = {key: item for key, item in items.items() if item is not GONE}
    return items if isinstance(state, dict) else type(state)(items.values())


@pytest.mark.parametrize(("keys", "value"), CRAFTED, ids=["/".join(map(str, keys)) for keys, _ in CRAFTED])
def test_a_crafted_state_is_one_line(saved: tuple[Run, dict[str, Any]], keys: tuple[Any, ...], value: Any) -> None:
    run, state = saved
    with (
        pytest.raises(CheckpointError, match="^here does not fit this code or these settings: ") as raised,
        fitting(Path("here")),
    ):
        run.load_state_dict(crafted(copy.deepcopy(state), keys, value))
    assert "\n" not in str(raised.value)


def test_what_it_was_crafted_from_is_loaded(saved: tuple[Run, dict[str, Any]], same) -> None:
    run, state = saved
    with fitting(Path("here")):
        run.load_state_dict(copy.deepcopy(state))
    same(run.state_dict() | {"progress": None}, state | {"progress": None})
