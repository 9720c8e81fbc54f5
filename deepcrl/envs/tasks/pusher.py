"""The pusher of JaxGCRL and scaling-crl: a fork that pushes one object, or two, to a place, or only goes there.

docs/environments_manipulation.md says what differs.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import torch
from einops import rearrange
from torch import Tensor

from deepcrl.core.checks import above
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.pusher import FRICTION, JOINTS, fork_place, pusher
from deepcrl.envs.scenes.arena import ROBOT, WALL, add_goal_ball, add_table_cameras, arena
from deepcrl.envs.scenes.labels import angle_rates, angles, torques
from deepcrl.envs.task import GoalTask, Start

TABLE, PLANE = -0.325, -0.275
"""Metres: heights of the table and of the objects' centres, which goals share."""
OBJECT_RADIUS, OBJECT_MASS = 0.05, 0.0418
"""Metres and kg: of the source's 0.0018 kg object whose slides have an armature of 0.04 kg."""
APART = 0.17
"""Metres between an object and its goal at the start, at least; also between two objects and between two goals."""
VELOCITY_NOISE = 0.005
"""rad/s"""
FORK_LABELS = tuple(f"fork {axis} (m)" for axis in "xyz")
Box = tuple[float, float, float, float]
"""x from, y from, x to, y to, in metres."""
OBJECTS: Box = (0.25, -0.35, 0.65, -0.05)
NEAR_GOALS: Box = (0.25, -0.6, 0.65, -0.3)
WIDE_GOALS: Box = (-0.1, -0.7, 0.9, 0.3)
TWO: tuple[Box, ...] = (
    *((0.25, -0.35, 0.45, -0.05), (0.45, -0.35, 0.65, -0.05)),
    *((-0.15, -0.7, 0.375, 0.3), (0.375, -0.7, 0.9, 0.3)),
)
"""Of pusher2: the first and the second object, the first and the second goal."""

_COLOURS = {"object": (0.25, 0.45, 0.80, 1), "object2": (0.60, 0.36, 0.74, 1)}


class PusherTask(GoalTask):
    """What tasks of the pusher share. No gravity; the arm starts stretched along +x, nearly at rest; never terminates.

    State: joint angles, the fork's tip, the objects' positions, joint velocities.
    """

    action_labels = torques(JOINTS)
    success_hard: float | None = 0.05
    objects: tuple[str, ...]

    def __init__(self, *, success_radius: float) -> None:
        above("success_radius", success_radius, 0)
        self.success_radius = success_radius

    def build(self) -> mujoco.MjSpec:
        scene = arena(floor_half_size=2)
        scene.option.gravity = (0, 0, 0)
        scene.geom("floor").pos = (0, 0, TABLE)
        scene.attach(pusher(), prefix=ROBOT, frame=scene.worldbody.add_frame())
        for name in self.objects:
            _add_object(scene, name)
        add_table_cameras(scene, (0.4, -0.4, -0.15), 1.7)
        self.add_markers(scene)
        return scene

    def add_markers(self, scene: mujoco.MjSpec) -> None:
        """Adds what shows the goal: by default a disc on the table for each object."""
        for name in self.objects:
            _add_disc(scene, name.replace("object", "goal"), _COLOURS[name])

    def state(self, physics: Physics) -> Tensor:
        qpos, joints = physics.field("qpos"), len(JOINTS)
        places = in_plane(qpos[:, joints:].unflatten(1, (len(self.objects), 2))).flatten(1)
        angle, rates = qpos[:, :joints], physics.field("qvel")[:, :joints]
        return torch.cat((angle, fork_place(angle), places, rates), dim=1).float()

    def start(self, places: Tensor, goal: Tensor, generator: torch.Generator) -> Start:
        """Returns the start with objects at `places` [K, M, 2] and goals at [K, L, 2], both float64."""
        num, joints = len(goal), len(JOINTS)
        uniform = torch.rand(num, joints, generator=generator, dtype=torch.float64, device=generator.device)
        rates = VELOCITY_NOISE * (2 * uniform - 1)
        still = places.flatten(1)
        return Start(
            qpos=torch.cat((rates.new_zeros(num, joints), still), dim=1),
            qvel=torch.cat((rates, torch.zeros_like(still)), dim=1),
            goal=in_plane(goal).flatten(1).float(),
        )


def labels(objects: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the labels of the state with these objects."""
    places = tuple(f"{name} {axis} (m)" for name in objects for axis in "xyz")
    return (*angles(JOINTS), *FORK_LABELS, *places, *angle_rates(JOINTS))


def bounds(boxes: tuple[Box, ...]) -> Tensor:
    """Returns the lowest and the highest goals with a point in each box, [2, 3 len(boxes)] float64."""
    corners = rearrange(torch.tensor(boxes, dtype=torch.float64), "box (corner xy) -> corner box xy", corner=2)
    return rearrange(in_plane(corners), "corner box xyz -> corner (box xyz)")


def in_plane(places: Tensor) -> Tensor:
    """Returns points [..., 2] of the table as points [..., 3] at the objects' height."""
    return torch.nn.functional.pad(places, (0, 1), value=PLANE)


def sample_points(
    boxes: tuple[Box, ...], apart: tuple[tuple[int, int], ...], num: int, generator: torch.Generator
) -> Tensor:
    """Draws a point in each box, [num, len(boxes), 2] float64, uniformly among those with the pairs `APART` apart."""
    low, high = torch.tensor(boxes, dtype=torch.float64, device=generator.device).split(2, dim=1)
    points = low.new_full((num, len(boxes), 2), torch.nan)
    again = torch.ones(num, dtype=torch.bool, device=generator.device)
    while again.any():
        shape = (int(again.sum()), *low.shape)
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
        points[again] = low + (high - low) * uniform
        again = torch.zeros_like(again)
        for i, j in apart:
            again |= torch.linalg.vector_norm(points[:, i] - points[:, j], dim=1) < APART
    return points


@ENVS.register("pusher_easy")
@ENVS.register("pusher_hard", wide_goals=True)
class Pusher(PusherTask):
    """A fork on an arm that pushes an object to a place on the table: next to it, or with `wide_goals` anywhere."""

    spec = EnvSpec(state_dim=20, action_dim=7, goal_indices=(10, 11, 12))
    objects = ("object",)
    state_labels = labels(objects)

    def __init__(self, *, wide_goals: bool = False, success_radius: float = 0.1) -> None:
        super().__init__(success_radius=success_radius)
        self.goals = WIDE_GOALS if wide_goals else NEAR_GOALS

    def goal_bounds(self) -> Tensor:
        return bounds((self.goals,))

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        points = sample_points((OBJECTS, self.goals), ((0, 1),), num, generator)
        return self.start(points[:, :1], points[:, 1:], generator)


@ENVS.register("pusher_reacher")
class PusherReacher(PusherTask):
    """The pusher's arm without an object: the fork's tip has to be at the goal, a finger's breadth over the table."""

    spec = EnvSpec(state_dim=17, action_dim=7, goal_indices=(7, 8, 9))
    objects = ()
    state_labels = labels(objects)

    def __init__(self, *, success_radius: float = 0.1) -> None:
        super().__init__(success_radius=success_radius)

    def add_markers(self, scene: mujoco.MjSpec) -> None:
        add_goal_ball(scene, 0.03)

    def goal_bounds(self) -> Tensor:
        return bounds((OBJECTS,))

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        goal = sample_points((OBJECTS,), (), num, generator)
        return self.start(goal[:, :0], goal, generator)


@ENVS.register("pusher2")
class PusherTwo(PusherTask):
    """A fork on an arm that pushes two objects, each to its own place. The distance is that of the farther one."""

    spec = EnvSpec(state_dim=23, action_dim=7, goal_indices=tuple(range(10, 16)))
    success_hard = None
    euclidean = False
    objects = ("object", "object2")
    state_labels = labels(objects)

    def __init__(self, *, success_radius: float = 0.1) -> None:
        super().__init__(success_radius=success_radius)

    def goal_bounds(self) -> Tensor:
        return bounds(TWO[2:])

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        points = sample_points(TWO, ((0, 2), (1, 3), (0, 1), (2, 3)), num, generator)
        return self.start(points[:, :2], points[:, 2:], generator)

    def distance(self, state: Tensor, goal: Tensor) -> Tensor:
        """Returns the larger of both objects' distances to their goals, [N]."""
        gaps = rearrange(self.achieved(state) - goal, "n (object xyz) -> n object xyz", object=2)
        return torch.linalg.vector_norm(gaps, dim=2).amax(dim=1)

    def marker_position(self, goal: Tensor) -> Tensor:
        return rearrange(goal, "n (object xyz) -> n object xyz", object=2)


def _add_object(scene: mujoco.MjSpec, name: str) -> None:
    """Adds a cylinder that slides along x and y, both measured from the origin."""
    body = scene.worldbody.add_body(name=name, pos=(0, 0, PLANE))
    for axis, vector in (("x", (1, 0, 0)), ("y", (0, 1, 0))):
        body.add_joint(name=f"{name}_{axis}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=vector, damping=0.5)
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=(OBJECT_RADIUS, PLANE - TABLE, 0),
        mass=OBJECT_MASS,
        rgba=_COLOURS[name],
        contype=WALL,
        conaffinity=WALL,
        friction=FRICTION,
        condim=3,
    )


def _add_disc(scene: mujoco.MjSpec, name: str, rgba: tuple[float, float, float, float]) -> None:
    """Adds a mocap body: a disc under the place, larger than an object, its middle in the object's colour."""
    body = scene.worldbody.add_body(name=name, mocap=True)
    looks = {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "mass": 0, "contype": 0, "conaffinity": 0}
    z = TABLE - PLANE
    body.add_geom(size=(1.6 * OBJECT_RADIUS, 0.001, 0), pos=(0, 0, z + 0.001), material="goal", **looks)
    body.add_geom(size=(0.4 * OBJECT_RADIUS, 0.001, 0), pos=(0, 0, z + 0.002), rgba=rgba, **looks)
