"""`arm_grasp`: the Franka arm puts its fingertips to both sides of a cube, wherever the cube goes.

docs/environments_manipulation.md says what differs from scaling-crl and JaxGCRL.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import mujoco
import torch
from einops import rearrange
from torch import Tensor

from deepcrl.core.checks import at_least
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.panda import FINGERS
from deepcrl.envs.scenes.arena import ROBOT
from deepcrl.envs.scenes.places import box_bounds, cos_sin, sample_box
from deepcrl.envs.task import Start
from deepcrl.envs.tasks.arm_cube import CubeTask, add_plate, on_table

OPENNESS = 0.075
"""Metres between the fingertips in the goal. Closed around the cube they are 0.068 apart."""
OPENNESS_WEIGHT = 2.5
"""Metres of distance for a metre of wrong openness: within 0.05 m the openness is within 0.02 m."""
TIP_LABELS = tuple(f"{name}tip {axis} (m)" for name in FINGERS for axis in "xyz")


@ENVS.register("arm_grasp")
class ArmGrasp(CubeTask):
    """A Franka arm whose fingertips have to be to both sides of a cube, and `OPENNESS` apart.

    State [23]: cube, joints and link7 as in the other cube tasks, both fingertips' positions and their distance; these
    last 7 make the goal, which moves with the cube. The cube starts within `cube_noise` metres of (0, 0.6) on each axis
    and faces the arm. The distance is the larger of the fingertips' midpoint's to the goal's and of `OPENNESS_WEIGHT`
    times the openness'.
    """

    spec = EnvSpec(state_dim=23, action_dim=5, goal_indices=tuple(range(16, 23)))
    success_easy, success_hard = 0.15, 0.02
    euclidean = False
    state_labels = (*CubeTask.state_labels[:16], *TIP_LABELS, "fingertip distance (m)")

    def __init__(self, *, cube_noise: float = 0.3, reset_noise: float = 0.02, success_radius: float = 0.05) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius)
        at_least("cube_noise", cube_noise, 0)
        self.cube_noise = cube_noise

    def build(self) -> mujoco.MjSpec:
        scene = self.cube_scene()
        position, site = mujoco.mjtSensor.mjSENS_FRAMEPOS, mujoco.mjtObj.mjOBJ_SITE
        for name in FINGERS:
            scene.add_sensor(type=position, objtype=site, objname=f"{ROBOT}{name}tip")
        add_plate(scene, (0, 0.6), self.cube_noise, goal=False)
        for name in ("goal", "goal_right"):
            _add_tip_marker(scene, name)
        return scene

    def state(self, physics: Physics) -> Tensor:
        state = super().state(physics)
        tips = state[:, 16:22]
        openness = torch.linalg.vector_norm(tips[:, :3] - tips[:, 3:], dim=1, keepdim=True)
        return torch.cat((state[:, :22], openness), dim=1)

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        cube = on_table(sample_box((0, 0.6), self.cube_noise, num, generator))
        return self.start(cube, torch.atan2(cube[:, 1], cube[:, 0]) - math.pi / 2, around_cube(cube), generator)

    def goal_bounds(self) -> Tensor:
        low, high = box_bounds((0, 0.6), self.cube_noise)
        corners = torch.cartesian_prod(*torch.stack((low, high), dim=1))
        return torch.stack(torch.aminmax(around_cube(on_table(corners)), dim=0))

    def moved_goal(self, state: Tensor, goal: Tensor) -> Tensor:
        return around_cube(state[:, :3])

    def distance(self, state: Tensor, goal: Tensor) -> Tensor:
        """Returns the larger of the midpoint's distance and `OPENNESS_WEIGHT` times the openness', [N]."""
        achieved = self.achieved(state)
        midpoint = torch.linalg.vector_norm(_midpoint(achieved) - _midpoint(goal), dim=1)
        return torch.maximum(midpoint, OPENNESS_WEIGHT * (achieved[:, 6] - goal[:, 6]).abs())

    def marker_position(self, goal: Tensor) -> Tensor:
        return rearrange(goal[:, :6], "n (tip xyz) -> n tip xyz", tip=2)


def around_cube(cube: Tensor) -> Tensor:
    """Returns the goals [K, 7] of cubes at `cube` [K, 3].

    The fingers open across the plane in which the arm bends, so their goals lie on the tangent at the cube's azimuth.
    """
    cos, sin = cos_sin(torch.atan2(cube[:, 1], cube[:, 0]))
    tangent = torch.stack((sin, -cos, torch.zeros_like(cos)), dim=1)
    half = OPENNESS / 2 * tangent
    return torch.cat((cube + half, cube - half, cube.new_full((len(cube), 1), OPENNESS)), dim=1)


def _midpoint(goal: Tensor) -> Tensor:
    return (goal[:, :3] + goal[:, 3:6]) / 2


def _add_tip_marker(scene: mujoco.MjSpec, name: str) -> None:
    """Adds a mocap body: a small ball where a fingertip has to be. Without contacts."""
    scene.worldbody.add_body(name=name, mocap=True).add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=(0.012, 0, 0),
        material="goal",
        mass=0,
        contype=0,
        conaffinity=0,
    )
