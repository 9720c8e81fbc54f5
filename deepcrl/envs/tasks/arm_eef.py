"""`arm_binpick_easy_eef`: the Franka hand alone, floating, moves a cube from one bin into the other.

docs/environments_manipulation.md says what differs from scaling-crl.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above, at_least
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.panda import floating_hand
from deepcrl.envs.scenes.places import box_bounds, sample_box
from deepcrl.envs.task import GoalTask, Start
from deepcrl.envs.tasks.arm import arm_scene
from deepcrl.envs.tasks.arm_cube import (
    BIN_CENTRE_Y,
    CUBE_LABELS,
    CUBE_ONLY,
    FINGERS_START,
    GRIPPER_LABEL,
    add_bins,
    add_cube,
    add_goal_cube,
    check_bins,
    gripper_targets,
    on_table,
)

HAND_START = (0.0, 0.6, 0.2)
STEP = 0.2
"""Metres from where the hand is to its target, at full action, on each axis."""
_FENCE = ((0, 0.35, 0.41, 0.01), (0, 0.85, 0.41, 0.01), (-0.4, 0.6, 0.01, 0.24), (0.4, 0.6, 0.01, 0.24))
"""Walls 0.3 m high around the table: centre x, centre y, half size x, half size y, in metres."""


@ENVS.register("arm_binpick_easy_eef")
class ArmBinpickEef(GoalTask):
    """A floating hand that moves a cube from the bin on its left to a goal in the bin on its right.

    State [10]: the cube's position, the hand's, its velocity, and how far the fingers are apart. An action moves the
    hand's target away from where the hand is. Bins as in `arm_binpick_easy`; cubes start uniformly within `noise` of
    the bin's centre, goals are within `goal_noise` of the other's. The hand starts at rest, uniformly within
    `reset_noise` of `HAND_START`, all in metres; never terminates.
    """

    spec = EnvSpec(state_dim=10, action_dim=4, goal_indices=(0, 1, 2))
    state_labels = (
        *CUBE_LABELS,
        *(f"hand {axis} (m)" for axis in "xyz"),
        *(f"hand {axis} velocity (m/s)" for axis in "xyz"),
        "finger distance (m)",
    )
    action_labels = (*(f"hand {axis} target - hand {axis}, / {STEP} m" for axis in "xyz"), GRIPPER_LABEL)
    success_easy, success_hard = 0.3, 0.03
    substeps = 25

    def __init__(
        self,
        *,
        offset: float = 0.17,
        noise: float = 0.07,
        goal_noise: float = 0.005,
        bin_size: float = 0.27,
        reset_noise: float = 0.005,
        success_radius: float = 0.1,
    ) -> None:
        for name, value in (("noise", noise), ("goal_noise", goal_noise), ("reset_noise", reset_noise)):
            at_least(name, value, 0)
        above("success_radius", success_radius, 0)
        check_bins(offset, max(noise, goal_noise), bin_size)
        self.offset, self.bin_size = offset, bin_size
        self.noise, self.goal_noise, self.reset_noise = noise, goal_noise, reset_noise
        self.success_radius = success_radius

    def build(self) -> mujoco.MjSpec:
        scene = arm_scene(floating_hand(), camera_distance=1.2)
        add_cube(scene)
        add_bins(scene, self.offset, self.bin_size)
        _add_fence(scene)
        add_goal_cube(scene)
        return scene

    def state(self, physics: Physics) -> Tensor:
        qpos, qvel = physics.field("qpos"), physics.field("qvel")
        fingers = qpos[:, 3:5].sum(dim=1, keepdim=True)
        return torch.cat((qpos[:, 5:8], qpos[:, :3], qvel[:, :3], fingers), dim=1).float()

    def control(self, physics: Physics, action: Tensor) -> Tensor:
        hand = physics.field("qpos")[:, :3] + STEP * action[:, :3].clamp(-1, 1)
        return torch.cat((hand, gripper_targets(action[:, 3])), dim=1)

    def goal_bounds(self) -> Tensor:
        return on_table(box_bounds((self.offset, BIN_CENTRE_Y), self.goal_noise))

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        hand = sample_box(HAND_START, self.reset_noise, num, generator)
        cube = on_table(sample_box((-self.offset, BIN_CENTRE_Y), self.noise, num, generator))
        goal = on_table(sample_box((self.offset, BIN_CENTRE_Y), self.goal_noise, num, generator))
        quaternion = cube.new_tensor((1, 0, 0, 0)).expand(num, 4)
        qpos = torch.cat((hand, cube.new_full((num, 2), FINGERS_START), cube, quaternion), dim=1)
        return Start(qpos, qpos.new_zeros(num, 11), goal.float())


def _add_fence(scene: mujoco.MjSpec) -> None:
    """Adds walls, not drawn, that keep the cube within the hand's reach."""
    for number, (x, y, half_x, half_y) in enumerate(_FENCE):
        scene.worldbody.add_geom(
            name=f"fence_{number}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(x, y, 0.15),
            size=(half_x, half_y, 0.15),
            rgba=(0, 0, 0, 0),
            contype=CUBE_ONLY,
            conaffinity=0,
            condim=3,
        )
