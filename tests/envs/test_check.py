"""A task of one's own is checked once, when it is built: the message names task and attribute."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from typing import Any

import mujoco
import pytest
import torch
from torch import Tensor

from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs import make_envs
from deepcrl.envs.check import check_camera, check_task, is_ours
from deepcrl.envs.physics import Physics
from deepcrl.envs.scenes.arena import add_goal_marker, add_overview, arena
from deepcrl.envs.task import GoalTask, Start
from deepcrl.envs.tasks.ant import Ant


class Slider(GoalTask):
    """A ball on a rail along x."""

    spec = EnvSpec(state_dim=2, action_dim=1, goal_indices=(0,))
    state_labels = ("x (m)", "x velocity (m/s)")
    action_labels = ("force",)
    success_radius = 0.5
    camera, marker, mocap = True, True, True

    def build(self) -> mujoco.MjSpec:
        scene = arena()
        body = scene.worldbody.add_body(name="ball", pos=(0, 0, 1))
        body.add_joint(name="rail", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(1, 0, 0))
        body.add_geom(size=(0.1, 0, 0), contype=0, conaffinity=0)
        scene.add_actuator(name="force", target="rail", trntype=mujoco.mjtTrn.mjTRN_JOINT)
        if self.camera:
            add_overview(scene, (0, 0), 2)
        if self.marker and self.mocap:
            add_goal_marker(scene, 0.5)
        elif self.marker:
            scene.worldbody.add_body(name="goal")
        return scene

    def state(self, physics: Physics) -> Tensor:
        return torch.cat((physics.field("qpos"), physics.field("qvel")), dim=1).float()

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        zeros = torch.zeros(num, 1, dtype=torch.float64)
        return Start(zeros, zeros.clone(), torch.ones(num, 1))


def start(**changes: Any) -> Any:
    """Returns a method that draws the start with some parts replaced: functions of `num`."""

    def sample_start(self: Slider, num: int, generator: torch.Generator) -> Any:
        parts = vars_of(Slider.sample_start(self, num, generator))
        return Start(**(parts | {name: make(num) for name, make in changes.items()}))

    return sample_start


def vars_of(start: Start) -> dict[str, Tensor]:
    return {"qpos": start.qpos, "qvel": start.qvel, "goal": start.goal}


def test_a_sound_task_passes_and_ours_are_not_asked() -> None:
    check_task(Slider(), "slider")
    check_camera(Slider(), "slider")
    assert not is_ours(Slider())
    assert is_ours(Ant())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": EnvSpec(3, 1, (0,))}, "state_labels has 2 entries, not spec.state_dim=3"),
        ({"spec": EnvSpec(2, 2, (0,))}, "action_labels has 1 entries, not spec.action_dim=2"),
        ({"spec": EnvSpec(2, 1, (2,))}, r"spec.goal_indices=\[2\] must name entries of the state, 0 to 1"),
        ({"spec": EnvSpec(2, 1, ())}, r"spec.goal_indices=\[\] must name"),
        (
            {"spec": EnvSpec(3, 1, (0,)), "state_labels": ("a", "b", "c")},
            r"state is of shape \[2, 2\], not \[2, 3\] after a reset",
        ),
        (
            {"spec": EnvSpec(2, 2, (0,)), "action_labels": ("a", "b")},
            r"control is of shape \[2, 2\], not \[2, 1\] for actions of zeros",
        ),
        ({"state": lambda self, physics: [1]}, r"state is a list, not \[2, 2\] after a reset"),
        ({"state": lambda self, physics: torch.full((2, 2), torch.nan)}, "state: entry 0 is nan after a reset, which"),
        ({"state": lambda self, physics: torch.full((2, 2), 1e30)}, r"state: entry 0 is 1e\+30 after a reset, which"),
        ({"state": lambda self, physics: torch.ones(2, 2).long()}, "state is torch.int64, not a tensor of floating"),
        ({"sample_start": lambda self, num, generator: None}, "sample_start returns NoneType, not Start"),
        (
            {"sample_start": start(qpos=lambda num: torch.zeros(num, 2))},
            r"sample_start.qpos is of shape \[2, 2\], not \[2, 1\], for the model's nq=1",
        ),
        ({"sample_start": start(qvel=lambda num: torch.zeros(1))}, r"sample_start.qvel is of shape \[1\], not"),
        (
            {"sample_start": start(goal=lambda num: torch.zeros(1, 1))},
            r".*goal is of shape \[1, 1\], not \[2, 1\]",
        ),
        (
            {"sample_start": start(goal=lambda num: torch.full((num, 1), torch.inf))},
            ".*goal: entry 0 is inf",
        ),
        ({"distance": lambda self, state, goal: torch.zeros(2, 1)}, r"distance is of shape \[2, 1\], not \[2\]"),
        ({"terminated": lambda self, state: False}, r"terminated is a bool, not \[2\]"),
        ({"moved_goal": lambda self, state, goal: state}, r"moved_goal is of shape \[2, 2\], not \[2, 1\]"),
        ({"marker": False}, "goal_marker='goal' is missing; bodies are ball: add_goal_marker and add_goal_ball"),
        ({"mocap": False}, "goal_marker='goal' is no mocap body: add_goal_marker"),
        (
            {"marker_position": lambda self, goal: goal},
            r"marker_position returns of shape \[2, 1\] for K=2 goals, not \[K, 3\]",
        ),
        ({"sample_start": start(qvel=lambda num: torch.full((num, 1), 1e7).double())}, None),
        (
            {"sample_start": start(qvel=lambda num: torch.full((num, 1), 1e12).double())},
            ".*qvel: entry 0 is 1e",
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str | None) -> None:
    task = type("Mine", (Slider,), changes)()
    if message is None:
        return check_task(task, "mine")
    with pytest.raises(ValueError, match=f"^env=mine: Mine.{message}") as error:
        check_task(task, "mine")
    assert "\n" not in str(error.value)
    return None


@pytest.mark.parametrize("attribute", ["state_labels", "action_labels", "success_radius", "spec"])
def test_a_missing_attribute_is_named(attribute: str) -> None:
    class Bare(Slider):
        def __getattribute__(self, name: str) -> Any:
            if name == attribute:
                raise AttributeError(name)
            return super().__getattribute__(name)

    with pytest.raises(ValueError, match=f"^env=mine: Bare has no {attribute}$"):
        check_task(Bare(), "mine")


def test_no_marker_is_no_mistake() -> None:
    check_task(type("Mine", (Slider,), {"marker": False, "goal_marker": None})(), "mine")


def test_a_missing_camera_is_named_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="^env=mine: the model of Mine has no camera 'overview', .* but none; add_"):
        check_camera(type("Mine", (Slider,), {"camera": False})(), "mine")


def test_make_envs_checks() -> None:
    wrong = type("Mine", (Slider,), {"spec": EnvSpec(3, 1, (0,)), "__init__": lambda self: None})
    ENVS.register("test_mine")(wrong)
    try:
        with pytest.raises(ValueError, match="^env=test_mine: Mine.state_labels has 2 entries"):
            make_envs({"name": "test_mine"}, num_envs=1, episode_length=5, seed=0)
    finally:
        del ENVS._items["test_mine"], ENVS._schemas["test_mine"]
