"""The half-cheetah that runs to a place: JaxGCRL's `cheetah`. Its robot file says how the robots differ."""

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
from deepcrl.envs.robots.half_cheetah import JOINTS, half_cheetah
from deepcrl.envs.scenes.arena import ROBOT, add_goal_marker, add_overview, arena, follow
from deepcrl.envs.scenes.labels import angle_rates, angles, torques
from deepcrl.envs.scenes.places import nearest_goal
from deepcrl.envs.task import GoalTask, Start


@ENVS.register("half_cheetah")
class HalfCheetah(GoalTask):
    """A half-cheetah whose goal is the place x = `goal_distance`, in metres; never terminates.

    Starts uniformly within `reset_noise` (metres, radians) of the standing pose at x 0, with normal velocities of that
    scale. With `goal_distance_min` the goal is uniform between the two; without, it is always the same, as in JaxGCRL.
    """

    spec = EnvSpec(state_dim=18, action_dim=6, goal_indices=(0,))
    state_labels = (
        *("torso x (m)", "torso z - 0.7 (m)", "torso pitch (rad)", *angles(JOINTS)),
        *("torso x velocity (m/s)", "torso z velocity (m/s)", "torso pitch velocity (rad/s)", *angle_rates(JOINTS)),
    )
    action_labels = torques(JOINTS)
    success_easy = 2.0

    def __init__(
        self,
        *,
        goal_distance: float = 5.0,
        goal_distance_min: float | None = None,
        reset_noise: float = 0.1,
        success_radius: float = 0.5,
    ) -> None:
        at_least("reset_noise", reset_noise, 0)
        above("success_radius", success_radius, 0)
        self.goal_distance = goal_distance
        self.goal_distance_min = nearest_goal(goal_distance, goal_distance_min)
        self.reset_noise = reset_noise
        self.success_radius = success_radius

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_half_size=self.goal_distance + 30)
        add_overview(scene, (0, 0), self.goal_distance + 2)
        scene.attach(half_cheetah(), prefix=ROBOT, frame=scene.worldbody.add_frame())
        follow(scene.body(ROBOT + "torso"))
        add_goal_marker(scene, self.success_radius)
        return scene

    def state(self, physics: Physics) -> Tensor:
        return torch.cat((physics.field("qpos"), physics.field("qvel")), dim=1).float()

    def goal_bounds(self) -> Tensor:
        return torch.tensor([[self.goal_distance_min], [self.goal_distance]], dtype=torch.float64)

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        empty = torch.empty(2, num, 9, dtype=torch.float64, device=generator.device)
        qpos = empty[0].uniform_(-self.reset_noise, self.reset_noise, generator=generator)
        qvel = empty[1].normal_(0, self.reset_noise, generator=generator)
        goal = torch.empty(num, 1, device=generator.device)
        goal.uniform_(self.goal_distance_min, self.goal_distance, generator=generator)
        return Start(qpos, qvel, goal)
