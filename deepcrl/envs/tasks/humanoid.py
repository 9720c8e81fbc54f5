"""The humanoid tasks of scaling-crl and JaxGCRL: `humanoid` (goals around it) and the humanoid mazes.

Differences, beside those of the robot (`deepcrl.envs.robots.humanoid`):

| what | scaling-crl | here |
|---|---|---|
| goal in the state | position and velocity of the goal marker are entries of the state, its mass shifts the inertias | no trace of the goal |
| state | 268 entries: also the marker's 4 positions and velocities, its inertia (10), velocity (6) and 8 zero torques | 240: the rest |
| inertias | the spring engine's: unit inertia of each link, moved to the common centre of mass | MuJoCo's `cinert`: 6 entries of the inertia, 3 of mass times offset, mass |
| velocities of links | of each centre of mass, weighted by mass | MuJoCo's `cvel`: about the common centre of mass |
| control step | 0.03 s in the open task, by accident, 0.015 s in mazes | 0.015 s, 0.003 s x 5 |
| start | always the same pose | noise of 0.01, as in Gymnasium |
| start and goal | drawn once per environment, kept for ever | by the reset policy, `resample` or `fixed` |
"""  # noqa: E501 - a table row cannot be broken

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from abc import abstractmethod

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above, at_least
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.humanoid import ACTUATORS, JOINTS, LINKS, START_Z, humanoid
from deepcrl.envs.scenes.arena import ROBOT, add_goal_marker, add_overview, arena, follow
from deepcrl.envs.scenes.labels import FREE_POSITION, FREE_VELOCITY, angle_rates, angles, torques
from deepcrl.envs.scenes.mazes import bounds, maze_arena, parse_layout, sample_cells
from deepcrl.envs.scenes.places import disc_bounds, nearest_goal, sample_around
from deepcrl.envs.task import GoalTask, Start, concat_float32

HEALTHY_Z = (1.0, 2.0)
"""Metres; an episode ends when the torso leaves this range."""
GOAL_Z = 1.25
"""Metres: where the torso of a humanoid that stands at its goal should be."""
TIMESTEP = 0.003
_INERTIA = ("xx", "yy", "zz", "xy", "xz", "yz")
_INERTIA_LABELS = (
    *(f"inertia {axes} (kg m^2)" for axes in _INERTIA),
    *(f"mass times offset {axis} (kg m)" for axis in "xyz"),
    "mass (kg)",
)
_VELOCITY_LABELS = (
    *(f"angular velocity {axis} (rad/s)" for axis in "xyz"),
    *(f"velocity {axis} (m/s)" for axis in "xyz"),
)


class HumanoidTask(GoalTask):
    """What humanoid tasks share. State [240]: torso x y z, quaternion w x y z, 17 joint angles, torso linear velocity
    (world) and angular velocity (body), 17 joint velocities, then of each of 11 links its inertia and its velocity
    about the humanoid's centre of mass, then the 17 controls that moved it. The goal is the torso's x, y and z.

    A humanoid starts within `reset_noise` (metres, radians; velocities too) of the standing pose.
    """

    spec = EnvSpec(state_dim=240, action_dim=17, goal_indices=(0, 1, 2))
    state_labels = (
        *(*FREE_POSITION, *angles(JOINTS), *FREE_VELOCITY, *angle_rates(JOINTS)),
        *(f"{link} {what}" for link in LINKS for what in _INERTIA_LABELS),
        *(f"{link} {what}" for link in LINKS for what in _VELOCITY_LABELS),
        *(f"{joint} control" for joint in ACTUATORS),
    )
    action_labels = torques(ACTUATORS)
    success_easy = 2.0
    derived = True

    def __init__(self, *, reset_noise: float, success_radius: float) -> None:
        at_least("reset_noise", reset_noise, 0)
        above("success_radius", success_radius, 0)
        self.reset_noise = reset_noise
        self.success_radius = success_radius

    def state(self, physics: Physics) -> Tensor:
        links = slice(1, 1 + len(LINKS))  # body 0 is the world, the last one the goal marker
        parts = (
            physics.field("qpos"),
            physics.field("qvel"),
            physics.field("cinert")[:, links].flatten(1),
            physics.field("cvel")[:, links].flatten(1),
            physics.field("ctrl").clamp(-1, 1),
        )
        return concat_float32(parts)

    def terminated(self, state: Tensor) -> Tensor:
        z = state[:, 2]
        return (z < HEALTHY_Z[0]) | (z > HEALTHY_Z[1])

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        """Draws qpos and qvel uniformly within `reset_noise` of the standing pose at rest."""
        noise, device = self.reset_noise, generator.device
        qpos = torch.empty(num, 24, dtype=torch.float64, device=device).uniform_(-noise, noise, generator=generator)
        qvel = torch.empty(num, 23, dtype=torch.float64, device=device).uniform_(-noise, noise, generator=generator)
        qpos[:, 2] += START_Z
        qpos[:, 3] += 1
        qpos[:, 3:7] /= torch.linalg.vector_norm(qpos[:, 3:7], dim=1, keepdim=True)
        origin, goal = self.sample_places(num, generator)
        qpos[:, :2] += origin
        return Start(qpos, qvel, _at_height(goal).float())

    @abstractmethod
    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws where humanoids start, before noise, and where their goals are: x and y, [num, 2] each, float64."""

    def marker_position(self, goal: Tensor) -> Tensor:
        """Returns the place on the floor below goals [K, 3]."""
        return torch.nn.functional.pad(goal[:, :2], (0, 1))

    def add_humanoid(self, scene: mujoco.MjSpec) -> mujoco.MjSpec:
        """Adds the humanoid, its tracking camera and the goal marker to `scene`, and returns it."""
        scene.option.timestep = TIMESTEP
        scene.attach(humanoid(), prefix=ROBOT, frame=scene.worldbody.add_frame())
        follow(scene.body(ROBOT + "torso"))
        add_goal_marker(scene, self.success_radius)
        return scene


@ENVS.register("humanoid")
class Humanoid(HumanoidTask):
    """A humanoid at the origin of an empty floor; goals at a uniform angle and a uniform distance around it."""

    def __init__(
        self,
        *,
        goal_distance: float = 5.0,
        goal_distance_min: float = 1.0,
        reset_noise: float = 0.01,
        success_radius: float = 0.5,
    ) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius)
        self.goal_distance = goal_distance
        self.goal_distance_min = nearest_goal(goal_distance, goal_distance_min)

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_half_size=self.goal_distance + 30)
        add_overview(scene, (0, 0), self.goal_distance + 2)
        return self.add_humanoid(scene)

    def goal_bounds(self) -> Tensor:
        return _at_height(disc_bounds(self.goal_distance))

    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        goal = sample_around(num, self.goal_distance_min, self.goal_distance, generator)
        return torch.zeros_like(goal), goal


class HumanoidMaze(HumanoidTask):
    """A humanoid in a maze: starts at a start cell, goals at the centres of goal cells, each drawn uniformly.

    `layout` is a name of `deepcrl.envs.scenes.mazes.LAYOUTS`, an own layout such as `"#####/#RG.#/#####"`, or
    `perfect_SIZE`, such as `perfect_21`: a maze that `layout_seed` draws.
    """

    def __init__(
        self,
        *,
        layout: str = "u_maze",
        layout_seed: int = 0,
        cell_size: float = 2.0,
        wall_height: float = 1.0,
        reset_noise: float = 0.01,
        success_radius: float = 0.5,
    ) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius)
        above("wall_height", wall_height, 0)
        self.maze = parse_layout(layout, cell_size, seed=layout_seed)
        self.wall_height = wall_height
        self._starts, self._goals = self.maze.centres("R"), self.maze.centres("G")

    def build(self) -> mujoco.MjSpec:
        return self.add_humanoid(maze_arena(self.maze, self.wall_height))

    def terminated(self, state: Tensor) -> Tensor:
        return super().terminated(state) | self.maze.in_pit(state[:, :2])

    def goal_bounds(self) -> Tensor:
        return _at_height(bounds(self._goals))

    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return sample_cells(self._starts, num, generator), sample_cells(self._goals, num, generator)


def _at_height(places: Tensor) -> Tensor:
    """Adds the goals' z to `places` [K, 2]: [K, 3]."""
    return torch.nn.functional.pad(places, (0, 1), value=GOAL_Z)


ENVS.register("humanoid_maze")(HumanoidMaze)
for _layout in ("u_maze", "big_maze", "hardest_maze"):
    for _name in (_layout, f"{_layout}_eval"):
        ENVS.register(f"humanoid_{_name}", layout=_name)(HumanoidMaze)
