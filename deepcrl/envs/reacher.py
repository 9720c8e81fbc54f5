"""The reacher of scaling-crl and JaxGCRL, in plain MuJoCo.

| what | scaling-crl, JaxGCRL | here |
|---|---|---|
| control step | 0.04 s (its setting of 0.005 s x 4 is ignored), 0.02 s | 0.02 s, 0.01 s x 2, as in Gymnasium |
| gear | 25, 200 | 200, as in Gymnasium |
| start and goal | drawn once per environment, kept for ever | by the reset policy, `resample` or `fixed` |
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import mujoco
import torch
from torch import Tensor

from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.labels import torques
from deepcrl.envs.physics import Physics
from deepcrl.envs.places import disc_bounds
from deepcrl.envs.robots.reacher import HEIGHT, LINK, TIP, reacher
from deepcrl.envs.scene import ROBOT, add_goal_ball, add_table_cameras, arena
from deepcrl.envs.settings import above, at_least
from deepcrl.envs.task import GoalTask, Start

VELOCITY_NOISE = 0.005
"""rad/s"""


@ENVS.register("reacher")
class Reacher(GoalTask):
    """A two-link arm in a plane whose fingertip has to be at the goal, and to stay there.

    State [10]: cosine of both joint angles, sine of both, fingertip x y z and its velocity, in metres and seconds;
    the goal is the fingertip's position, drawn on the disc around the shoulder with uniform radius and angle.
    An arm starts within `reset_noise` radians of lying along +x; never terminates.
    """

    spec = EnvSpec(state_dim=10, action_dim=2, goal_indices=(4, 5, 6))
    state_labels = (
        *("joint0 cosine", "joint1 cosine", "joint0 sine", "joint1 sine"),
        *(f"fingertip {axis} (m)" for axis in "xyz"),
        *(f"fingertip {axis} velocity (m/s)" for axis in "xyz"),
    )
    action_labels = torques(("joint0", "joint1"))
    substeps = 2

    def __init__(self, *, goal_distance: float = 0.2, reset_noise: float = 0.1, success_radius: float = 0.05) -> None:
        above("goal_distance", goal_distance, 0)
        at_least("reset_noise", reset_noise, 0)
        above("success_radius", success_radius, 0)
        self.goal_distance = goal_distance
        self.reset_noise = reset_noise
        self.success_radius = success_radius

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_half_size=2)
        scene.attach(reacher(), prefix=ROBOT, frame=scene.worldbody.add_frame())
        add_goal_ball(scene, 0.02)
        add_table_cameras(scene, (0, 0, 0), 0.7)
        return scene

    def state(self, physics: Physics) -> Tensor:
        angle, rate = physics.field("qpos"), physics.field("qvel")
        # Of both links against the x axis: two angles are cheaper than to have MuJoCo compute the fingertip
        level, turning = angle.cumsum(1), rate.cumsum(1)
        arm = torch.tensor((LINK, TIP), dtype=angle.dtype, device=angle.device)
        along, across = arm * level.cos(), arm * level.sin()
        height, still = angle.new_full((len(angle),), HEIGHT), angle.new_zeros(len(angle))
        tip = (along.sum(1), across.sum(1), height)
        velocity = (-(across * turning).sum(1), (along * turning).sum(1), still)
        return torch.cat((angle.cos(), angle.sin(), torch.stack(tip + velocity, dim=1)), dim=1).float()

    def goal_bounds(self) -> Tensor:
        return torch.nn.functional.pad(disc_bounds(self.goal_distance), (0, 1), value=HEIGHT)

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        uniform = torch.rand(num, 6, generator=generator, dtype=torch.float64, device=generator.device)
        both_sides = 2 * uniform[:, :4] - 1
        goal = torch.view_as_real(torch.polar(self.goal_distance * uniform[:, 4], 2 * math.pi * uniform[:, 5]))
        goal = torch.nn.functional.pad(goal, (0, 1), value=HEIGHT)
        return Start(self.reset_noise * both_sides[:, :2], VELOCITY_NOISE * both_sides[:, 2:], goal.float())
