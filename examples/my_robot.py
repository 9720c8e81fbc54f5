"""A robot of your own, from its MJCF file: an arm whose tip has to be at a point in space, and to stay there.

    PYTHONPATH=examples DEEPCRL_PLUGINS=my_robot deepcrl train env=my_arm

docs/new_environment.md explains each part. The file is a string here; `mujoco.MjSpec.from_file` reads yours.
"""

# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.scenes.arena import ROBOT, add_goal_ball, add_table_cameras, arena
from deepcrl.envs.scenes.places import box_bounds, sample_box
from deepcrl.envs.task import GoalTask, Start

MJCF = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.002" iterations="20" ls_iterations="20"/>
  <default>
    <joint damping="2" armature="0.05" range="-2.6 2.6" limited="true"/>
    <geom type="capsule" size="0.03" density="500"/>
    <position kp="100" ctrlrange="-2.6 2.6" ctrllimited="true"/>
  </default>
  <worldbody>
    <body name="base" pos="0 0 0.3">
      <joint name="turn" axis="0 0 1"/>
      <geom fromto="0 0 -0.2 0 0 0"/>
      <body name="upper">
        <joint name="shoulder" axis="0 1 0"/>
        <geom fromto="0 0 0 0.3 0 0"/>
        <body name="lower" pos="0.3 0 0">
          <joint name="elbow" axis="0 1 0"/>
          <geom fromto="0 0 0 0.3 0 0"/>
          <site name="tip" pos="0.3 0 0"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="turn"/>
    <position joint="shoulder"/>
    <position joint="elbow"/>
  </actuator>
</mujoco>
"""
JOINTS = ("turn", "shoulder", "elbow")
GOALS = (0.35, 0.0, 0.4)
"""Metres: the centre of the box in which goals lie."""


@ENVS.register("my_arm")
class Arm(GoalTask):
    """An arm with three servos. State [9]: the tip's place, then the joints' angles and velocities."""

    spec = EnvSpec(state_dim=9, action_dim=3, goal_indices=(0, 1, 2))
    state_labels = (
        *(f"tip {axis} (m)" for axis in "xyz"),
        *(f"{joint} angle (rad)" for joint in JOINTS),
        *(f"{joint} velocity (rad/s)" for joint in JOINTS),
    )
    action_labels = tuple(f"{joint} target / 2.6 rad" for joint in JOINTS)
    substeps = 25
    derived = True  # the state reads site_xpos

    def __init__(self, *, goal_noise: float = 0.1, success_radius: float = 0.05) -> None:
        above("goal_noise", goal_noise, 0)
        above("success_radius", success_radius, 0)
        self.goal_noise = goal_noise
        self.success_radius = success_radius

    def build(self) -> mujoco.MjSpec:
        robot = mujoco.MjSpec.from_string(MJCF)
        scene = arena(floor_half_size=2)
        # What is attached brings bodies, joints and actuators, but no options: without these lines the arm would have
        # those of `arena`, 0.01 s and 4 solver iterations, which are an ant's
        scene.option.timestep = robot.option.timestep
        scene.option.iterations, scene.option.ls_iterations = robot.option.iterations, robot.option.ls_iterations
        scene.attach(robot, prefix=ROBOT, frame=scene.worldbody.add_frame())
        add_goal_ball(scene, self.success_radius)
        add_table_cameras(scene, GOALS, 1.5)
        return scene

    def state(self, physics: Physics) -> Tensor:
        tip = physics.field("site_xpos")[:, self.model.site(ROBOT + "tip").id]
        return torch.cat((tip, physics.field("qpos"), physics.field("qvel")), dim=1).float()

    def control(self, physics: Physics, action: Tensor) -> Tensor:
        return 2.6 * action.clamp(-1, 1)

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        rest = torch.zeros(num, 3, dtype=torch.float64, device=generator.device)
        return Start(rest, rest.clone(), sample_box(GOALS, self.goal_noise, num, generator).float())

    def goal_bounds(self) -> Tensor:
        return box_bounds(GOALS, self.goal_noise)
