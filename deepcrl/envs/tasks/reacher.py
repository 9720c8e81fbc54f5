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

from deepcrl.core.checks import above, at_least
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.reacher import HEIGHT, LINK, TIP, reacher
from deepcrl.envs.scenes.arena import ROBOT, add_goal_ball, add_table_cameras, arena
from deepcrl.envs.scenes.labels import torques
from deepcrl.envs.scenes.places import cos_sin, disc_bounds
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
        joint0, joint1 = physics.field("qpos").unbind(1)
        rate0, rate1 = physics.field("qvel").unbind(1)
        # The fingertip is computed here, from the angles of both links to the x axis: MuJoCo's derived fields cost more
        angles = torch.stack((joint0, joint1, joint0 + joint1))
        (cos, sin), turning = cos_sin(angles), rate0 + rate1
        elbow_x, elbow_y, tip_x, tip_y = LINK * cos[0], LINK * sin[0], TIP * cos[2], TIP * sin[2]
        tip = (elbow_x + tip_x, elbow_y + tip_y, torch.full_like(tip_x, HEIGHT))
        velocity = (-elbow_y * rate0 - tip_y * turning, elbow_x * rate0 + tip_x * turning, torch.zeros_like(tip_x))
        return torch.stack((cos[0], cos[1], sin[0], sin[1], *tip, *velocity), dim=1).float()

    def goal_bounds(self) -> Tensor:
        return torch.nn.functional.pad(disc_bounds(self.goal_distance), (0, 1), value=HEIGHT)

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        uniform = torch.rand(num, 6, generator=generator, dtype=torch.float64, device=generator.device)
        both_sides = 2 * uniform[:, :4] - 1
        goal = torch.view_as_real(torch.polar(self.goal_distance * uniform[:, 4], 2 * math.pi * uniform[:, 5]))
        goal = torch.nn.functional.pad(goal, (0, 1), value=HEIGHT)
        return Start(self.reset_noise * both_sides[:, :2], VELOCITY_NOISE * both_sides[:, 2:], goal.float())
