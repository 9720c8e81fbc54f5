"""An environment of your own, in one file: a pendulum that has to hold its tip at a commanded angle.

    PYTHONPATH=examples DEEPCRL_PLUGINS=my_env deepcrl train env=my_pendulum env.torque=2

docs/new_environment.md explains each part.
"""

# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import math

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.scenes.arena import add_goal_ball, add_table_cameras, arena
from deepcrl.envs.task import GoalTask, Start

LENGTH, HEIGHT = 0.5, 0.7
"""Metres: the rod, and its hinge above the floor."""


@ENVS.register("my_pendulum")
class Pendulum(GoalTask):
    """A 1 kg rod on a hinge with a motor of `torque` N m: below 2.45 it has to swing up.

    State [3]: tip x and z from the hinge, in metres, and angular velocity; the goal is the tip's x and z.
    """

    spec = EnvSpec(state_dim=3, action_dim=1, goal_indices=(0, 1))
    state_labels = ("tip x (m)", "tip z (m)", "angular velocity (rad/s)")
    action_labels = ("hinge motor",)

    def __init__(self, *, torque: float = 3.0, success_radius: float = 0.1) -> None:
        above("torque", torque, 0)
        above("success_radius", success_radius, 0)
        self.torque = torque
        self.success_radius = success_radius

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_half_size=2)
        rod = scene.worldbody.add_body(name="rod", pos=(0, 0, HEIGHT))
        rod.add_joint(name="hinge", type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 1, 0), damping=0.05)
        rod.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(0, 0, 0, 0, 0, -LENGTH),
            size=(0.02, 0, 0),
            mass=1,
            contype=0,
            conaffinity=0,
        )
        scene.add_actuator(
            target="hinge",
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gear=(self.torque, 0, 0, 0, 0, 0),
            ctrllimited=True,
            ctrlrange=(-1, 1),
        )
        add_goal_ball(scene, self.success_radius)
        add_table_cameras(scene, (0, 0, HEIGHT), 2.5)
        return scene

    def state(self, physics: Physics) -> Tensor:
        return torch.cat((self._tip(physics.field("qpos")), physics.field("qvel")), dim=1).float()

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        """Hangs at rest; the goal's angle is uniform."""
        rest = torch.zeros(num, 1, dtype=torch.float64, device=generator.device)
        angle = 2 * math.pi * torch.rand(num, 1, generator=generator, dtype=torch.float64, device=generator.device)
        return Start(rest, rest.clone(), self._tip(angle).float())

    def marker_position(self, goal: Tensor) -> Tensor:
        return torch.stack((goal[:, 0], torch.zeros_like(goal[:, 0]), HEIGHT + goal[:, 1]), dim=1)

    @staticmethod
    def _tip(angle: Tensor) -> Tensor:
        return torch.cat((-LENGTH * angle.sin(), -LENGTH * angle.cos()), dim=1)
