"""The ant tasks of scaling-crl and JaxGCRL, in plain MuJoCo: `ant` (a goal on a circle) and the ant mazes.

The source runs them in Brax's spring engine, where every link has unit mass and inertia and joints are springs, which
MuJoCo cannot match; this is the same robot file with MuJoCo's own dynamics. Differences, beside those of the robot
(`deepcrl.envs.robots.ant`):

| what | scaling-crl | here |
|---|---|---|
| engine | Brax spring, 0.005 s x 10, about 9 kg | MuJoCo, 0.01 s x 5, 7.29 kg, as its ant_push; `density` changes the weight (5 is 0.911 kg, as in ant.xml) |
| integrator | semi-implicit | implicitfast; Gymnasium's RK4 costs nearly four times as much |
| start quaternion | noisy, not normalised | noisy, normalised |
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
from deepcrl.envs.robots.ant import ACTUATORS, DENSITY, INIT_QPOS, JOINTS, ant
from deepcrl.envs.scenes.arena import ROBOT, add_goal_marker, add_overview, arena, follow
from deepcrl.envs.scenes.labels import FREE_POSITION, FREE_VELOCITY, angle_rates, angles, torques
from deepcrl.envs.scenes.mazes import ANT_LAYOUTS, bounds, corridor_pairs, maze_arena, parse_layout, sample_cells
from deepcrl.envs.scenes.places import disc_bounds, nearest_goal, sample_around
from deepcrl.envs.task import GoalTask, Start

HEALTHY_Z = (0.2, 1.0)
"""Metres; an episode ends when the torso leaves this range."""


class AntTask(GoalTask):
    """What ant tasks share. State [29]: torso x y z, quaternion w x y z, 8 joint angles, torso linear velocity (world)
    and angular velocity (body), 8 joint velocities; the goal is the torso's x and y, in metres.

    An ant starts within `reset_noise` (metres, radians; standard deviation of velocities) of the standing pose.
    `density`, in kg/m^3, sets its weight: a light ant kicks itself above the healthy heights with random actions.
    """

    spec = EnvSpec(state_dim=29, action_dim=8, goal_indices=(0, 1))
    state_labels = (*FREE_POSITION, *angles(JOINTS), *FREE_VELOCITY, *angle_rates(JOINTS))
    action_labels = torques(ACTUATORS)
    success_easy = 2.0

    def __init__(self, *, reset_noise: float, success_radius: float, density: float) -> None:
        at_least("reset_noise", reset_noise, 0)
        above("success_radius", success_radius, 0)
        above("density", density, 0)
        self.reset_noise = reset_noise
        self.success_radius = success_radius
        self.density = density
        self._standing = torch.tensor(INIT_QPOS, dtype=torch.float64)

    def state(self, physics: Physics) -> Tensor:
        return torch.cat((physics.field("qpos"), physics.field("qvel")), dim=1).float()

    def terminated(self, state: Tensor) -> Tensor:
        z = state[:, 2]
        return (z < HEALTHY_Z[0]) | (z > HEALTHY_Z[1])

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        """Draws qpos uniformly within `reset_noise` of the standing pose, qvel normal with that scale."""
        noise = self.reset_noise
        qpos = torch.empty(num, 15, dtype=torch.float64, device=generator.device)
        qpos.uniform_(-noise, noise, generator=generator).add_(self._standing.to(qpos.device))
        qpos[:, 3:7] /= torch.linalg.vector_norm(qpos[:, 3:7], dim=1, keepdim=True)
        qvel = torch.empty(num, 14, dtype=torch.float64, device=generator.device)
        qvel.normal_(0, noise, generator=generator)
        origin, goal = self.sample_places(num, generator)
        qpos[:, :2] += origin
        return Start(qpos, qvel, goal.float())

    @abstractmethod
    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws where ants start, before noise, and where their goals are: [num, 2] each, float64."""

    def add_ant(self, scene: mujoco.MjSpec) -> mujoco.MjSpec:
        """Adds the ant, its tracking camera and the goal marker to `scene`, and returns it."""
        scene.attach(ant(self.density), prefix=ROBOT, frame=scene.worldbody.add_frame())
        follow(scene.body(ROBOT + "torso"))
        add_goal_marker(scene, self.success_radius)
        return scene


@ENVS.register("ant")
class Ant(AntTask):
    """An ant at the origin of an empty floor whose goals lie around it.

    Goals lie exactly on the circle of radius `goal_distance` at a uniform angle, as in the source. A smaller
    `goal_distance_min` draws the radius uniformly between the two: nearer goals. With `random_start` the ant starts
    as far from its goal in a uniform direction, so its way does not begin at the origin.
    """

    def __init__(
        self,
        *,
        goal_distance: float = 10.0,
        goal_distance_min: float | None = None,
        reset_noise: float = 0.1,
        success_radius: float = 0.5,
        density: float = DENSITY,
        random_start: bool = False,
    ) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius, density=density)
        self.random_start = random_start
        at_least("goal_distance", goal_distance, 0)
        self.goal_distance = goal_distance
        self.goal_distance_min = nearest_goal(goal_distance, goal_distance_min)

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_half_size=self.goal_distance + 30)
        add_overview(scene, (0, 0), self.goal_distance + 2)
        return self.add_ant(scene)

    def goal_bounds(self) -> Tensor:
        return disc_bounds(self.goal_distance)

    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        goal = self._around(num, generator)
        return goal + self._around(num, generator) if self.random_start else torch.zeros_like(goal), goal

    def _around(self, num: int, generator: torch.Generator) -> Tensor:
        """Draws points [num, 2] around the origin at the goals' distances."""
        return sample_around(num, self.goal_distance_min, self.goal_distance, generator)


ENVS.register("ant_random_start", random_start=True)(Ant)


class AntMaze(AntTask):
    """An ant in a maze: starts at a start cell, goals at the centres of goal cells, each drawn uniformly.

    With `goal_steps`, which needs a layout that is one corridor, a goal lies that many cells further along than its
    start instead: the number of cells is drawn uniformly from `goal_steps`, then the start from where it fits. They
    are scaling-crl's `_gen_` mazes, `_gen_1f2f3f` is `goal_steps=[1,2,3]`.

    `layout` is a name of `deepcrl.envs.scenes.mazes.ANT_LAYOUTS`, an own layout such as `"#####/#RG.#/#####"`, or
    `perfect_SIZE`, such as `perfect_21`: a maze that `layout_seed` draws.
    """

    def __init__(
        self,
        *,
        layout: str = "u_maze",
        layout_seed: int = 0,
        cell_size: float = 4.0,
        wall_height: float = 2.0,
        reset_noise: float = 0.1,
        success_radius: float = 0.5,
        density: float = DENSITY,
        goal_steps: list[int] | None = None,
    ) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius, density=density)
        above("wall_height", wall_height, 0)
        self.maze = parse_layout(layout, cell_size, ANT_LAYOUTS, seed=layout_seed)
        self.goal_steps = goal_steps
        self._pairs = corridor_pairs(self.maze, goal_steps) if goal_steps else []
        self.wall_height = wall_height
        self._starts, self._goals = self.maze.centres("R"), self.maze.centres("G")

    def build(self) -> mujoco.MjSpec:
        return self.add_ant(maze_arena(self.maze, self.wall_height))

    def terminated(self, state: Tensor) -> Tensor:
        return super().terminated(state) | self.maze.in_pit(state[:, :2])

    def goal_bounds(self) -> Tensor:
        return bounds(torch.cat([goals for _, goals in self._pairs]) if self._pairs else self._goals)

    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if not self._pairs:
            return sample_cells(self._starts, num, generator), sample_cells(self._goals, num, generator)
        kind = torch.randint(len(self._pairs), (num,), generator=generator, device=generator.device)
        origin = torch.empty(num, 2, dtype=torch.float64, device=generator.device)
        goal = torch.empty_like(origin)
        for k, (starts, goals) in enumerate(self._pairs):
            rows = (kind == k).nonzero()[:, 0]
            drawn = sample_cells(torch.cat((starts, goals), dim=1), len(rows), generator)
            origin[rows], goal[rows] = drawn[:, :2], drawn[:, 2:]
        return origin, goal


ENVS.register("ant_maze")(AntMaze)
for _layout in ANT_LAYOUTS:
    ENVS.register(f"ant_{_layout}", layout=_layout)(AntMaze)
for _layout in ("u_maze", "u2_maze", "u3_maze", "u4_maze", "u5_maze"):
    ENVS.register(f"ant_{_layout}_gen_1f2f3f", layout=_layout, goal_steps=(1, 2, 3))(AntMaze)
