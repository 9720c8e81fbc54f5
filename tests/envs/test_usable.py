"""Which numbers can be trained on."""

from __future__ import annotations

import pytest
import torch

from deepcrl.core.components import ENVS, discover
from deepcrl.core.types import EnvError
from deepcrl.envs import EnvInputs, make_task
from deepcrl.envs.task import GoalTask, Start
from deepcrl.envs.tasks.point_maze import PointMaze
from deepcrl.envs.usable import LARGEST, first_unusable, is_usable
from deepcrl.envs.vector import TaskVectorEnv

discover()
CLASSES = {type(task): name for name in reversed(list(ENVS)) if isinstance(task := make_task({"name": name}), GoalTask)}


def test_the_bound_is_where_float32_stops_counting() -> None:
    bound = torch.tensor(LARGEST)
    assert bound + 1 == bound
    assert bound - 1 != bound


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -9e9, 2 * LARGEST])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_with_a_bad_entry(value: float, dtype: torch.dtype) -> None:
    values = torch.zeros(3, 4, dtype=dtype)
    assert is_usable(values).tolist() == [True] * 3
    values[1, 2] = value
    assert is_usable(values).tolist() == [True, False, True]
    assert is_usable(values.T.contiguous().T).tolist() == [True, False, True]
    assert first_unusable(values) == (1, 2)


def test_the_largest_is_usable_and_so_is_nothing() -> None:
    assert is_usable(torch.tensor([[LARGEST, -LARGEST]])).all()
    assert is_usable(torch.zeros(2, 0)).tolist() == [True, True]


@pytest.mark.parametrize("name", CLASSES.values())
@pytest.mark.parametrize("value", [9e9, 1e30])
def test_a_huge_velocity_of_any_joint_makes_its_simulation_unstable_and_no_other(make, name: str, value: float) -> None:
    num = make_task({"name": name}).model.nv + 1  # pyright: ignore
    envs = make(name, num_envs=num)
    envs.reset()
    qvel = envs.physics.field("qvel")
    qvel.fill_diagonal_(value)
    step = envs.step(torch.zeros(num, envs.spec.action_dim))
    assert step.truncated.tolist() == [True] * (num - 1) + [False]
    assert envs.num_unstable == num - 1
    assert is_usable(step.next_state).all()


class BadStart(PointMaze):
    """Starts or goals that cannot be trained on."""

    def __init__(self, where: str, value: float) -> None:
        super().__init__()
        self.where, self.value = where, value

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        start = super().sample_start(num, generator)
        getattr(start, self.where)[-1, 1] = self.value
        return start


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("qpos", float("nan"), r"state\[1\], y \(m\), of environment 2 is nan"),
        ("qpos", 1e30, r"state\[1\], y \(m\), of environment 2 is 1e\+30"),
        ("goal", float("inf"), r"goal\[1\], y \(m\), of environment 2 is inf"),
    ],
)
def test_a_bad_start_is_an_error_that_names_the_entry(where: str, value: float, said: str) -> None:
    envs = TaskVectorEnv(BadStart(where, value), EnvInputs(num_envs=3, episode_length=5, seed=0, num_threads=1))
    with pytest.raises(EnvError, match=f"^BadStart: {said} after a reset, which cannot be trained on$"):
        envs.reset()
