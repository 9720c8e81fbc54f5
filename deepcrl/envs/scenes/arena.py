"""The parts every scene shares: solver, floor, sky, light, cameras, walls and the goal marker.

Collision bits: a robot's geom has contype 0 and names what it hits by conaffinity, so a robot never hits itself.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math
from collections.abc import Iterable

import mujoco

GROUND, WALL = 1, 2
"""Contact types of the floor and of the walls."""
ROBOT = "robot/"
"""Prefix of the names of what a robot's spec brings into a scene: `robot/torso`."""
FRICTION = (1.0, 0.5, 0.5)
"""Of the ant XML of scaling-crl, for everything."""
TIMESTEP = 0.01
_SKY_TOP, _SKY_HORIZON = (0.52, 0.70, 0.90), (0.94, 0.97, 1.0)
_TILE_LIGHT, _TILE_DARK, _TILE_EDGE = (0.95, 0.96, 0.97), (0.85, 0.87, 0.90), (0.78, 0.81, 0.85)
_WALL_COLOUR = (0.36, 0.47, 0.60, 1.0)
_PIT_COLOUR = (0.16, 0.13, 0.14, 1.0)
_GOAL_COLOUR = (0.10, 0.66, 0.36)
_FOVY = 45.0


def arena(floor_centre: tuple[float, float] = (0.0, 0.0), floor_half_size: float = 40.0) -> mujoco.MjSpec:
    """Returns a lit, empty scene with a checkered floor at z 0; the floor is infinite for contacts.

    Newton iterations 4 and line search 8 are those of scaling-crl's MJX ant. With 100 and 50 a random ant falls
    as often and a step costs the same.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    option = spec.option
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.iterations, option.ls_iterations = 4, 8
    _looks(spec)
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=(*floor_centre, 0),
        size=(floor_half_size, floor_half_size, 1),
        material="floor",
        contype=GROUND,
        conaffinity=0,
        friction=FRICTION,
        condim=3,
    )
    return spec


def _looks(spec: mujoco.MjSpec) -> None:
    builtin, kind, role = mujoco.mjtBuiltin, mujoco.mjtTexture, mujoco.mjtTextureRole
    spec.add_texture(
        name="sky",
        type=kind.mjTEXTURE_SKYBOX,
        builtin=builtin.mjBUILTIN_GRADIENT,
        rgb1=_SKY_TOP,
        rgb2=_SKY_HORIZON,
        width=256,
        height=1536,
    )
    spec.add_texture(
        name="tiles",
        type=kind.mjTEXTURE_2D,
        builtin=builtin.mjBUILTIN_CHECKER,
        mark=mujoco.mjtMark.mjMARK_EDGE,
        rgb1=_TILE_LIGHT,
        rgb2=_TILE_DARK,
        markrgb=_TILE_EDGE,
        width=300,
        height=300,
    )
    floor = spec.add_material(name="floor", texrepeat=(0.5, 0.5), texuniform=True, reflectance=0.0)
    floor.textures[role.mjTEXROLE_RGB] = "tiles"
    spec.add_material(name="wall", rgba=_WALL_COLOUR, specular=0.1, shininess=0.1)
    spec.add_material(name="pit", rgba=_PIT_COLOUR)
    spec.add_material(name="goal", rgba=(*_GOAL_COLOUR, 1.0), emission=0.2)
    spec.add_material(name="goal_area", rgba=(*_GOAL_COLOUR, 0.5), emission=0.2)
    visual = spec.visual
    visual.headlight.ambient, visual.headlight.diffuse = (0.42, 0.42, 0.42), (0.18, 0.18, 0.18)
    visual.headlight.specular = (0, 0, 0)
    visual.rgba.haze = (*_SKY_HORIZON, 1)
    visual.global_.offwidth, visual.global_.offheight = 1920, 1080
    visual.quality.shadowsize = 4096
    visual.map.znear, visual.map.zfar = 0.01, 100
    spec.stat.extent = 4.0  # near and far planes are multiples of it: fixed, so that they do not depend on the maze
    visual.global_.fovy = _FOVY


def add_walls(spec: mujoco.MjSpec, boxes: Iterable[tuple[float, float, float, float]], height: float) -> None:
    """Adds a wall for each box (centre x, centre y, half size x, half size y), all in metres."""
    for k, (x, y, half_x, half_y) in enumerate(boxes):
        spec.worldbody.add_geom(
            name=f"wall_{k}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(x, y, height / 2),
            size=(half_x, half_y, height / 2),
            material="wall",
            contype=WALL,
            conaffinity=0,
            friction=FRICTION,
            condim=3,
        )


def add_pits(spec: mujoco.MjSpec, centres: Iterable[tuple[float, float]], half_size: float) -> None:
    """Adds a dark square on the floor for each centre (x, y): what is seen of a pit. Without contacts."""
    for k, (x, y) in enumerate(centres):
        spec.worldbody.add_geom(
            name=f"pit_{k}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(x, y, 0.005),
            size=(half_size, half_size, 0.005),
            material="pit",
            contype=0,
            conaffinity=0,
        )


def add_goal_marker(spec: mujoco.MjSpec, radius: float) -> None:
    """Adds the mocap body `goal`: a disc of the success radius on the floor under a thin pole, without contacts."""
    goal = spec.worldbody.add_body(name="goal", mocap=True)
    disc, pole = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE
    goal.add_geom(
        type=disc, size=(radius, 0.01, 0), pos=(0, 0, 0.01), material="goal_area", contype=0, conaffinity=0, mass=0
    )
    goal.add_geom(
        type=disc, size=(0.3 * radius, 0.01, 0), pos=(0, 0, 0.02), material="goal", contype=0, conaffinity=0, mass=0
    )
    goal.add_geom(type=pole, size=(0.04, 0.75, 0), pos=(0, 0, 0.79), material="goal", contype=0, conaffinity=0, mass=0)


def add_goal_ball(spec: mujoco.MjSpec, radius: float) -> None:
    """Adds the mocap body `goal`: a ball, for goals in space. Without contacts."""
    goal = spec.worldbody.add_body(name="goal", mocap=True)
    ball = mujoco.mjtGeom.mjGEOM_SPHERE
    goal.add_geom(type=ball, size=(radius, 0, 0), material="goal_area", contype=0, conaffinity=0, mass=0)


def add_table_cameras(spec: mujoco.MjSpec, target: tuple[float, float, float], distance: float) -> None:
    """Adds the sun, and the cameras `overview` and `track`: from above and from the side, `distance` metres off."""
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(*target[:2], 6),
        dir=(0, 0, -1),
        diffuse=(0.36, 0.36, 0.36),
        specular=(0.1, 0.1, 0.1),
        castshadow=True,
    )
    for name, azimuth, elevation in (("overview", 35, 38), ("track", 80, 15)):
        a, e = math.radians(azimuth), math.radians(elevation)
        backwards = (math.cos(a) * math.cos(e), math.sin(a) * math.cos(e), math.sin(e))
        spec.worldbody.add_camera(
            name=name,
            pos=[t + distance * b for t, b in zip(target, backwards, strict=True)],
            xyaxes=(-math.sin(a), math.cos(a), 0, -math.cos(a) * math.sin(e), -math.sin(a) * math.sin(e), math.cos(e)),
            fovy=_FOVY,
        )


def add_overview(spec: mujoco.MjSpec, centre: tuple[float, float], half_extent: float, top: float = 0.0) -> None:
    """Adds the camera `overview`, straight above: a square of half size `half_extent` metres at height `top` fits.

    The picture's right is +y and its bottom +x, so that a maze looks like its printed layout.
    """
    height = top + 1.03 * half_extent / math.tan(math.radians(_FOVY) / 2)
    spec.worldbody.add_camera(name="overview", pos=(*centre, height), xyaxes=(0, 1, 0, -1, 0, 0), fovy=_FOVY)


def follow(body: mujoco.MjsBody) -> None:
    """Adds what follows `body` at a fixed offset: the sun and the camera `track`.

    The sun follows so that shadows are sharp wherever the body is. The camera is on the side of the overview's bottom
    and high enough to see over the walls.
    """
    body.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM,
        pos=(0, 0, 6),
        dir=(0, 0, -1),  # slanted light leaves noise at the edge of the shadow map
        diffuse=(0.36, 0.36, 0.36),
        specular=(0.1, 0.1, 0.1),
        castshadow=True,
    )
    distance, elevation = 9.0, math.radians(58)
    sin, cos = math.sin(elevation), math.cos(elevation)
    body.add_camera(
        name="track",
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM,
        pos=(distance * cos, 0, distance * sin),
        xyaxes=(0, 1, 0, -sin, 0, cos),
        fovy=_FOVY,
    )


def add_sensors(spec: mujoco.MjSpec, body: str, *, velocity: bool) -> None:
    """Adds sensors of the world position of `body`'s origin [3] and, if asked, of its linear velocity [3].

    Their values follow those of earlier sensors in the physics field `sensordata`.
    """
    kinds = [mujoco.mjtSensor.mjSENS_FRAMEPOS, mujoco.mjtSensor.mjSENS_FRAMELINVEL]
    for kind in kinds if velocity else kinds[:1]:
        spec.add_sensor(type=kind, objtype=mujoco.mjtObj.mjOBJ_XBODY, objname=body)
