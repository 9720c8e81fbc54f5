"""An environment's word on success is taken for goals of its own only."""

from __future__ import annotations

from typing import Any, cast

import gymnasium
import numpy as np
import pytest
import torch

from deepcrl.core.types import Agent, EnvError, Observation
from deepcrl.envs import make_task
from deepcrl.envs.gymnasium.vector import GymnasiumVectorEnv
from deepcrl.training.evaluate import evaluate
from tests.envs.walk import build

pytestmark = pytest.mark.usefixtures("toys")
FAR: dict[str, Any] = {"goal_indices": [0, 1], "goal_low": [0, 7], "goal_high": [0, 7], "success_radius": 0.5}
HERE: dict[str, Any] = FAR | {"goal_low": [0, 0], "goal_high": [0, 0]}
PURSUE = torch.tensor([0.0, 1.0])


class Constant:
    """Always the same action."""

    def __init__(self, action: torch.Tensor) -> None:
        self.action = action

    def act(self, observation: Observation, *, explore: bool) -> torch.Tensor:
        return self.action.expand(len(observation.state), -1)


def scores(envs: GymnasiumVectorEnv, action: torch.Tensor) -> dict[str, float]:
    return evaluate(cast(Agent, Constant(action)), envs)


def test_a_drawn_goal_far_away_is_no_success_whatever_the_environment_says() -> None:
    envs = build("toy/Plane-v0", episode_length=50, kwargs={"success": True}, **FAR)
    found = scores(envs, torch.zeros(2))
    assert found["eval/time_at_goal"] == 0
    assert found["eval/final_distance"] == pytest.approx(7)


def test_a_drawn_goal_that_is_held_is_a_success_whatever_the_environment_says() -> None:
    envs = build("toy/Plane-v0", episode_length=50, kwargs={"success": False}, **HERE)
    assert scores(envs, torch.zeros(2))["eval/time_at_goal"] == 50


def test_a_drawn_goal_that_is_reached_counts_from_then_on() -> None:
    envs = build("toy/Plane-v0", episode_length=50, **FAR)
    assert scores(envs, PURSUE)["eval/time_at_goal"] == 1  # after 14 steps of 0.5 m; it then runs past it


def test_drawn_goals_need_a_radius_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("made")

    monkeypatch.setattr("deepcrl.envs.gymnasium.task.make_one", refuse)
    message = "env.id=toy/Plane-v0 knows nothing of the goals that env.goal_indices has drawn: set env.success_radius"
    with pytest.raises(ValueError, match=message):
        make_task({"name": "gymnasium", "id": "toy/Plane-v0", **FAR, "success_radius": None})


def test_our_own_message_asks_for_the_radius_at_once() -> None:
    with pytest.raises(ValueError, match="set env.goal_indices, .* env.goal_low and env.goal_high, .* env.success_rad"):
        make_task({"name": "gymnasium", "id": "toy/Plane-v0"}).spec  # noqa: B018


@pytest.mark.parametrize("success", [True, False])
def test_an_end_by_success_at_another_goal_is_no_termination(success: bool) -> None:
    envs = build("toy/Plane-v0", kwargs={"success": success, "ends_at": 3}, **FAR)
    envs.reset()
    steps = [envs.step(torch.zeros(4, 2)) for _ in range(3)]
    assert not any((step.terminated | step.truncated).any() for step in steps[:2])
    assert steps[2].truncated.tolist() == [success] * 4
    assert steps[2].terminated.tolist() == [not success] * 4


@pytest.mark.parametrize("success", [True, False])
def test_goals_in_info_are_the_environments_own(success: bool) -> None:
    own = {"goal_from": "info:goal", "kwargs": {"success": success, "ends_at": 3}}
    envs = build("toy/Plane-v0", **own)
    assert envs.spec.goal_indices == (0, 1)
    assert envs.reset().goal.tolist() == [[3, 4]] * 4
    step = [envs.step(torch.zeros(4, 2)) for _ in range(3)][-1]
    assert step.success.tolist() == [success] * 4
    assert step.terminated.all()
    assert step.distance.tolist() == [5.0] * 4
    assert step.observation.goal.tolist() == [[3, 4]] * 4


@pytest.mark.parametrize("short_goal", [False, True])
def test_goals_in_info_may_be_states_or_goals(short_goal: bool) -> None:
    envs = build("toy/Plane-v0", goal_from="info:goal", goal_indices=[1], kwargs={"short_goal": short_goal})
    assert envs.reset().goal.tolist() == [[4]] * 4
    assert build("toy/Plane-v0", goal_from="info:goal", goal_indices=[1], success_radius=5).task.success_radius == 5


def test_a_reset_without_the_goal_is_an_error_and_not_the_old_goal() -> None:
    envs = build("toy/Plane-v0", goal_from="info:goal", kwargs={"ends_at": 2, "forgets_at": 2})
    envs.reset()
    envs.step(torch.zeros(4, 2))
    with pytest.raises(EnvError, match="^env.id=toy/Plane-v0: the info of a reset has no 'goal', where env.goal_from"):
        envs.step(torch.zeros(4, 2))


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"goal_from": "goal"}, "goal_from must be info:KEY, such as info:goal, got goal"),
        ({"goal_from": "info:"}, "goal_from must be info:KEY"),
        ({"goal_from": "info:goal", "goal_low": [1]}, "goal_from=info:goal takes the environment's goals: leave out"),
        (
            {"goal_from": "info:aim"},
            "env.goal_from=info:aim: the info of env.id=.* has no 'aim' after a reset; it",
        ),
        ({"goal_from": "info:goal", "kwargs": {"short_goal": True}}, r"gives float64 of shape \(1,\); a goal of 2 num"),
        ({"goal_from": "info:goal", "id": "toy/Retarget-v0"}, "env.goal_from: env.id=toy/Retarget-v0 observes a dict"),
    ],
)
def test_mistakes_with_goals_in_info(hyper: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make_task({"name": "gymnasium", "id": "toy/Plane-v0", **hyper}).spec  # noqa: B018
    assert "\n" not in str(error.value)


def towards(observation: Observation) -> torch.Tensor:
    """Acts towards the commanded goal, which is in the last columns of the state."""
    dim = observation.goal.shape[1]
    return (4 * (observation.goal - observation.state[:, -dim:])).clamp(-1, 1)


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_goal_that_moves_when_it_is_reached_is_commanded_at_once(vectorization: str) -> None:
    envs = build("toy/Retarget-v0", num_envs=2, episode_length=40, vectorization=vectorization)
    before, changes = envs.reset(), 0
    for _ in range(40):
        step = envs.step(towards(before))
        gap = (step.next_state[:, 1] - before.goal[:, 0]).abs()  # to the goal that was acted on
        assert torch.allclose(step.distance, gap)
        assert torch.equal(step.success, gap < 0.3)
        if not step.truncated.any():
            assert torch.equal(step.observation.goal[:, 0] == -before.goal[:, 0], step.success)
        changes += int(step.success.sum())
        before = step.observation
    envs.close()
    assert changes > 8


def test_point_maze_with_reset_target() -> None:
    pytest.importorskip("gymnasium_robotics", reason="pip install 'deepcrl[robotics]' runs this")
    maze = [[1, 1, 1, 1, 1], [1, "g", 0, "g", 1], [1, 1, 1, 1, 1]]
    envs = build("PointMaze_UMaze-v3", num_envs=2, episode_length=300, kwargs={"reset_target": True, "maze_map": maze})
    before, changes = envs.reset(), 0
    for _ in range(299):
        step = envs.step((5 * (before.goal - before.state[:, :2]) - before.state[:, 2:4]).clamp(-1, 1))
        assert torch.equal(step.success, step.distance <= 0.45)
        assert torch.allclose(step.distance, (step.next_state[:, 4:] - before.goal).norm(dim=1))
        moved = (step.observation.goal != before.goal).any(dim=1)
        assert torch.equal(moved, step.success)
        own = np.stack([cast(Any, env).unwrapped.goal for env in cast(Any, envs._envs).envs])
        assert step.observation.goal.numpy() == pytest.approx(own)
        changes += int(moved.sum())
        before = step.observation
    assert changes > 5


def test_after_a_resume_that_does_not_come_back_success_is_not_believed() -> None:
    kwargs = {"drift": True}
    gymnasium.register("toy/Drift-v0", "tests.envs.walk:Walk")
    try:
        envs, other = (build("toy/Drift-v0", episode_length=20, kwargs=kwargs) for _ in range(2))
        envs.reset()
        envs.step(torch.zeros(4, 1))
        with pytest.warns(UserWarning, match="do not decide the state"):
            other.load_state_dict(envs.state_dict())
        assert not other.step(torch.zeros(4, 1)).success.any()
    finally:
        del gymnasium.registry["toy/Drift-v0"]


def test_ogbench() -> None:
    pytest.importorskip("ogbench", reason="pip install ogbench runs this")
    id, hold = "ogbench:pointmaze-medium-v0", torch.zeros(8, 2)
    drawn = build(id, num_envs=8, goal_indices=[0, 1], goal_low=[0, 0], goal_high=[0, 0], success_radius=0.5)
    first = drawn.reset()
    saved = drawn.state_dict()
    drawn._goal = first.state[:, :2].clone()  # standing on the commanded goal
    assert drawn.step(hold).success.all()
    drawn._goal = saved["goal"] + 50
    assert not drawn.step(hold).success.any()
    own = build(id, num_envs=8, goal_from="info:goal", goal_indices=[0, 1])
    assert own.reset().goal.shape == (8, 2)
    assert own.step(hold).distance.isfinite().all()
