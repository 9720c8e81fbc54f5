"""The point mazes: JaxGCRL's simple mazes, the cheapest tasks, for tests and quick experiments.

| what | JaxGCRL | here |
|---|---|---|
| engine | Brax spring, 0.005 s x 10 | MuJoCo, 0.01 s x 5: the same control step |
| start and goal | drawn once per environment, kept for ever | by the reset policy, `resample` or `fixed` |
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above, at_least, one_of
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.point import point
from deepcrl.envs.scenes.arena import ROBOT, add_goal_marker, follow
from deepcrl.envs.scenes.mazes import LAYOUTS, bounds, maze_arena, parse_layout, sample_cells
from deepcrl.envs.task import GoalTask, Start

DRIVES = {"force": "5 N", "velocity": "10 m/s"}
"""What an action may be, and what 1 means."""


class PointMaze(GoalTask):
    """A point mass in a maze. State [4]: x, y and their velocities, in metres and seconds; the goal is x and y.

    Starts exactly at a start cell's centre with normal velocity of scale `reset_noise`; terminates in a pit, if there
    is one. `layout` is a name of `deepcrl.envs.scenes.mazes.LAYOUTS`, an own layout such as `"#####/#RG.#/#####"`, or
    `perfect_SIZE`, such as `perfect_21`: a maze that `layout_seed` draws. `drive` says what an action is: a `force`, as
    in JaxGCRL, or a `velocity` that the point takes on within a step; its state [2] is then x and y, as in OGBench.
    """

    spec = EnvSpec(state_dim=4, action_dim=2, goal_indices=(0, 1))
    state_labels = ("x (m)", "y (m)", "x velocity (m/s)", "y velocity (m/s)")
    success_easy = 2.0
    has_headings = True

    def __init__(
        self,
        *,
        layout: str = "u_maze",
        layout_seed: int = 0,
        cell_size: float = 4.0,
        wall_height: float = 2.0,
        reset_noise: float = 0.1,
        success_radius: float = 0.5,
        drive: str = "force",
    ) -> None:
        one_of("env.drive", drive, DRIVES)
        at_least("reset_noise", reset_noise, 0)
        above("success_radius", success_radius, 0)
        above("wall_height", wall_height, 0)
        self.maze = parse_layout(layout, cell_size, seed=layout_seed)
        self.drive = drive
        if drive == "velocity":  # what it did last would tell where it wants to go
            self.spec, self.state_labels = EnvSpec(2, 2, goal_indices=(0, 1)), self.state_labels[:2]
        self.action_labels = tuple(f"{drive} along {axis} / {DRIVES[drive]}" for axis in "xy")
        self.wall_height = wall_height
        self.reset_noise = reset_noise
        self.success_radius = success_radius
        self._starts, self._goals = self.maze.centres("R"), self.maze.centres("G")

    def build(self) -> mujoco.MjSpec:
        scene = maze_arena(self.maze, self.wall_height)
        scene.attach(point(self.drive), prefix=ROBOT, frame=scene.worldbody.add_frame())
        follow(scene.body(ROBOT + "torso"))
        add_goal_marker(scene, self.success_radius)
        return scene

    def state(self, physics: Physics) -> Tensor:
        if self.drive == "velocity":
            return physics.field("qpos").float()
        return torch.cat((physics.field("qpos"), physics.field("qvel")), dim=1).float()

    def terminated(self, state: Tensor) -> Tensor:
        return self.maze.in_pit(state[:, :2])

    def goal_bounds(self) -> Tensor:
        return bounds(self._goals)

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        normal = torch.randn(num, 2, generator=generator, dtype=torch.float64, device=generator.device)
        qpos = sample_cells(self._starts, num, generator)
        return Start(qpos, self.reset_noise * normal, sample_cells(self._goals, num, generator).float())


ENVS.register("point_maze")(PointMaze)
for _layout in LAYOUTS:
    ENVS.register(f"point_{_layout}", layout=_layout)(PointMaze)
