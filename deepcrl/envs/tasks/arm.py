"""The Franka arm of scaling-crl and JaxGCRL: what its tasks share, and `arm_reach`.

docs/environments_manipulation.md says what differs; most of it is in the robot, whose servos hold what is commanded.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above, at_least
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.panda import JOINTS, panda
from deepcrl.envs.scenes.arena import ROBOT, add_goal_ball, add_sensors, add_table_cameras, arena
from deepcrl.envs.scenes.labels import angles
from deepcrl.envs.scenes.places import box_bounds, sample_box
from deepcrl.envs.task import GoalTask, Start

DRIVEN = {0: (0.3491, 2.7925), 1: (0.0, 1.48353), 3: (-3.0718, -0.0698), 5: (2.3562, 3.7525)}
"""Joint index -> the angles between which an entry of the action chooses, in radians."""
JOINT7 = math.pi / 4
"""Radians; joints 3 and 5 are held at 0. The fingers then open across the plane in which the arm bends."""
GOAL_CENTRE = (0.0, 0.5, 0.3)
"""Metres, of arm_reach."""
START = (1.571, 0.742, 0.0, -1.571, 0.0, 3.054, JOINT7)
"""Radians: link7 is at (0, 0.678, 0.371) m."""
WRIST_LABELS = (
    *(f"link7 {axis} (m)" for axis in "xyz"),
    *(f"link7 {axis} velocity (m/s)" for axis in "xyz"),
)


def arm_scene(robot: mujoco.MjSpec, camera_distance: float = 1.8) -> mujoco.MjSpec:
    """Returns a table at z 0 on which `robot` stands, with the solver's settings of the sources' MJX arms. Metres."""
    scene = arena(floor_half_size=2)
    scene.option.timestep = 0.002
    scene.option.iterations, scene.option.ls_iterations = 6, 12
    scene.attach(robot, prefix=ROBOT, frame=scene.worldbody.add_frame())
    add_table_cameras(scene, (0, 0.45, 0.2), camera_distance)
    return scene


class ArmTask(GoalTask):
    """What tasks of the whole arm share. An action chooses where joints 1, 2, 4 and 6 go; the others are held.

    An arm starts at rest, uniformly within `reset_noise` radians of the pose `START`; never terminates.
    """

    action_labels = tuple(f"{JOINTS[joint]} target, {low} to {high} rad" for joint, (low, high) in DRIVEN.items())
    success_easy, success_hard = 0.3, 0.03
    substeps = 25
    derived = True

    def __init__(self, *, reset_noise: float, success_radius: float) -> None:
        at_least("reset_noise", reset_noise, 0)
        above("success_radius", success_radius, 0)
        self.reset_noise = reset_noise
        self.success_radius = success_radius

    def control(self, physics: Physics, action: Tensor) -> Tensor:
        target = action.new_zeros(len(action), len(JOINTS))
        for entry, (joint, (low, high)) in enumerate(DRIVEN.items()):
            target[:, joint] = low + (high - low) * (action[:, entry].clamp(-1, 1) + 1) / 2
        target[:, 6] = JOINT7
        return target

    def sample_joints(self, num: int, generator: torch.Generator) -> Tensor:
        """Draws the angles [num, 7] float64 of joints 1 to 7."""
        return sample_box(START, self.reset_noise, num, generator)


@ENVS.register("arm_reach")
class ArmReach(ArmTask):
    """A Franka arm that holds its last link at a point, drawn in a box with half sides of `goal_noise` metres.

    State [13]: the joints' angles, then position and velocity of link7's origin, 0.107 m above the hand.
    """

    spec = EnvSpec(state_dim=13, action_dim=4, goal_indices=(7, 8, 9))
    state_labels = (*angles(JOINTS), *WRIST_LABELS)

    def __init__(self, *, goal_noise: float = 0.2, reset_noise: float = 0.02, success_radius: float = 0.1) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius)
        at_least("goal_noise", goal_noise, 0)
        self.goal_noise = goal_noise

    def build(self) -> mujoco.MjSpec:
        scene = arm_scene(panda(fingers=False))
        add_sensors(scene, ROBOT + "link7", velocity=True)
        add_goal_ball(scene, 0.03)
        return scene

    def state(self, physics: Physics) -> Tensor:
        return torch.cat((physics.field("qpos"), physics.field("sensordata")), dim=1).float()

    def goal_bounds(self) -> Tensor:
        return box_bounds(GOAL_CENTRE, self.goal_noise)

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        qpos = self.sample_joints(num, generator)
        goal = sample_box(GOAL_CENTRE, self.goal_noise, num, generator)
        return Start(qpos, torch.zeros_like(qpos), goal.float())
