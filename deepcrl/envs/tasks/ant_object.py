"""Ants that move something: `ant_ball` and its mazes (the ball has a goal), `ant_push` (a block is in the way).

| what | scaling-crl and JaxGCRL | here |
|---|---|---|
| goal of ant_ball | indices 28, 29: an ankle's velocity and the ball's x (in all but JaxGCRL's ant_ball) | 29, 30: the ball's x and y |
| start of the ball | 0.2 of the goal plus (cos of a random angle, sin of the goal's): often inside the ant | 0.5 of the goal plus a uniform point of the unit circle: at least 1.5 m from the ant |
| ball in mazes | ball and goal drawn with one key: correlated | independent |
| ball | 0.576 kg and armature 1, or 1 kg in the spring engine | 1 kg, no armature |
| block of ant_push | 0.0002 kg, three slides, starts with a random velocity | 1 kg, damping 5 N s/m, two slides 1 cm above the floor, starts at rest |
"""  # noqa: E501 - a table row cannot be broken

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math
from abc import abstractmethod

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above, at_least
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.ant import DENSITY
from deepcrl.envs.scenes.arena import WALL, add_overview, add_walls, arena
from deepcrl.envs.scenes.mazes import BALL_LAYOUTS, bounds, maze_arena, parse_layout, sample_cells
from deepcrl.envs.scenes.places import cos_sin, disc_bounds
from deepcrl.envs.task import Start
from deepcrl.envs.tasks.ant import AntTask

BALL_RADIUS, BLOCK_HALF_SIZE, BLOCK_HALF_HEIGHT, BLOCK_CENTRE = 0.5, 3.6, 1.8, 8.0
PUSH_WALLS = (
    *((-4, 20, 8, 8), (8, 24, 4, 4), (20, 20, 8, 8), (-8, 4, 4, 8)),
    *((24, 8, 4, 4), (20, -4, 8, 8), (0, -8, 12, 4)),
)
"""Of scaling-crl's ant_push.xml: centre x, centre y, half size x, half size y, in metres."""
_OBJECT_RGBA = (0.25, 0.45, 0.80, 1)


class AntObjectTask(AntTask):
    """What tasks with one movable object share. State [31]: the ant's 29 entries, then the object's x and y."""

    spec = EnvSpec(state_dim=31, action_dim=8, goal_indices=(29, 30))
    state_labels = (*AntTask.state_labels, "object x (m)", "object y (m)")

    def state(self, physics: Physics) -> Tensor:
        qpos, qvel = physics.field("qpos"), physics.field("qvel")
        return torch.cat((qpos[:, :15], qvel[:, :14], qpos[:, 15:]), dim=1).float()

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        start = super().sample_start(num, generator)
        place = self.sample_object(start.goal.double(), generator)
        return Start(torch.cat((start.qpos, place), dim=1), torch.nn.functional.pad(start.qvel, (0, 2)), start.goal)

    @abstractmethod
    def sample_object(self, goal: Tensor, generator: torch.Generator) -> Tensor:
        """Draws where objects start, given the goals [K, 2]: [K, 2] float64."""


def _add_object(scene: mujoco.MjSpec, name: str, z: float, damping: float) -> mujoco.MjsBody:
    """Adds a body that slides along x and y at height z; both joints are measured from the origin."""
    body = scene.worldbody.add_body(name=name, pos=(0, 0, z))
    for axis, vector in (("x", (1, 0, 0)), ("y", (0, 1, 0))):
        body.add_joint(name=f"{name}_{axis}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=vector, damping=damping)
    return body


def _add_ball(scene: mujoco.MjSpec) -> None:
    _add_object(scene, "ball", BALL_RADIUS, damping=0).add_geom(
        name="ball",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=(BALL_RADIUS, 0, 0),
        mass=1,
        rgba=_OBJECT_RGBA,
        contype=WALL,
        conaffinity=WALL,
        condim=1,
        priority=1,  # frictionless (condim 1): the ball cannot roll, and friction would make it stick to walls
    )


@ENVS.register("ant_ball")
class AntBall(AntObjectTask):
    """An ant that moves a ball to a goal on the circle of radius `goal_distance`. The ball starts on the way to it."""

    def __init__(
        self,
        *,
        goal_distance: float = 5.0,
        reset_noise: float = 0.1,
        success_radius: float = 0.5,
        density: float = DENSITY,
    ) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius, density=density)
        at_least("goal_distance", goal_distance, 5)  # with nearer goals the ball could start inside the ant
        self.goal_distance = goal_distance

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_half_size=self.goal_distance + 30)
        add_overview(scene, (0, 0), self.goal_distance + 2)
        self.add_ant(scene)
        _add_ball(scene)
        return scene

    def goal_bounds(self) -> Tensor:
        return disc_bounds(self.goal_distance)

    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        goal = self.goal_distance * _unit_circle(num, generator)
        return torch.zeros_like(goal), goal

    def sample_object(self, goal: Tensor, generator: torch.Generator) -> Tensor:
        return 0.5 * goal + _unit_circle(len(goal), generator)


class AntBallMaze(AntObjectTask):
    """An ant that moves a ball through a maze: from a ball cell, B, to a goal cell, each drawn uniformly.

    `layout` is a name of `deepcrl.envs.scenes.mazes.BALL_LAYOUTS` or an own layout such as `"#####/#RBG#/#####"`.
    """

    def __init__(
        self,
        *,
        layout: str = "u_maze",
        cell_size: float = 4.0,
        wall_height: float = 2.0,
        reset_noise: float = 0.1,
        success_radius: float = 0.5,
        density: float = DENSITY,
    ) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius, density=density)
        above("wall_height", wall_height, 0)
        self.maze = parse_layout(layout, cell_size, BALL_LAYOUTS)
        if not self.maze.cells("B"):
            raise ValueError("layout has no ball cell, B")
        self.wall_height = wall_height
        self._starts, self._goals, self._balls = (self.maze.centres(kind) for kind in "RGB")

    def build(self) -> mujoco.MjSpec:
        scene = self.add_ant(maze_arena(self.maze, self.wall_height))
        _add_ball(scene)
        return scene

    def terminated(self, state: Tensor) -> Tensor:
        return super().terminated(state) | self.maze.in_pit(state[:, :2])

    def goal_bounds(self) -> Tensor:
        return bounds(self._goals)

    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return sample_cells(self._starts, num, generator), sample_cells(self._goals, num, generator)

    def sample_object(self, goal: Tensor, generator: torch.Generator) -> Tensor:
        return sample_cells(self._balls, len(goal), generator)


@ENVS.register("ant_push")
class AntPush(AntObjectTask):
    """An ant that must push a block out of its way: goals lie in two cells behind it, 2 m x 2 m of each.

    The goal is the ant's own x and y. Cells are 8 m wide; the block fills the one at (8, 8).
    """

    spec = EnvSpec(state_dim=31, action_dim=8, goal_indices=(0, 1))

    def __init__(self, *, reset_noise: float = 0.1, success_radius: float = 0.5, density: float = DENSITY) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius, density=density)

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_centre=(8, 8), floor_half_size=60)
        add_overview(scene, (8, 8), 22, top=4)
        add_walls(scene, PUSH_WALLS, height=4)
        self.add_ant(scene)
        _add_object(scene, "block", BLOCK_HALF_HEIGHT + 0.01, damping=5).add_geom(
            name="block",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=(BLOCK_HALF_SIZE, BLOCK_HALF_SIZE, BLOCK_HALF_HEIGHT),
            mass=1,
            rgba=_OBJECT_RGBA,
            contype=WALL,
            conaffinity=WALL,
            condim=3,
        )
        return scene

    def goal_bounds(self) -> Tensor:
        return torch.tensor([[8.0, 8.0], [18.0, 18.0]], dtype=torch.float64)

    def sample_places(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        uniform = torch.rand(num, 3, generator=generator, dtype=torch.float64, device=generator.device)
        corner = torch.tensor([16.0, 8.0], dtype=torch.float64, device=generator.device)
        goal = torch.where(uniform[:, 2:] < 0.5, corner, corner.flip(0)) + 2 * uniform[:, :2]
        return torch.zeros_like(goal), goal

    def sample_object(self, goal: Tensor, generator: torch.Generator) -> Tensor:
        return torch.full_like(goal, BLOCK_CENTRE)


def _unit_circle(num: int, generator: torch.Generator) -> Tensor:
    """Draws points [num, 2] uniformly from the unit circle's line."""
    angle = 2 * math.pi * torch.rand(num, generator=generator, dtype=torch.float64, device=generator.device)
    return torch.stack(cos_sin(angle), dim=1)


ENVS.register("ant_ball_maze")(AntBallMaze)
for _layout in BALL_LAYOUTS:
    ENVS.register(f"ant_ball_{_layout}", layout=_layout)(AntBallMaze)
