"""The ant: a ball with four two-joint legs. Numbers from ant.xml of scaling-crl, itself Gymnasium's and Brax's ant.

Where this model differs from that file, and why:

| what | ant.xml | here |
|---|---|---|
| feet | massless spheres at the shins' tips, which hit the floor; the shins do not | the shins hit the floor: each ends in a ball of the foot's place and size, and knees no longer sink |
| walls of mazes | torso, inner capsules and feet collide, outer leg links pass through | torso, hips and shins collide; the inner capsules lie within torso and hips |
| self-collision in mazes | feet with torso, inner capsules and each other | none, as in the open ant |
| torso and floor | no contact: a fallen ant sinks below z 0.2 and its episode ends | the same |
| start height | z 0.55: with the tasks' noise feet start up to 0.3 m inside the floor, from which MuJoCo throws the ant | z 0.75, as in Gymnasium and in scaling-crl's own MJX ant (ant_push) |
| density | 5 kg/m^3, 0.911 kg; but the spring engine, whose ant the paper trained, gives each of 9 links 1 kg | 40 kg/m^3, 7.29 kg, as in scaling-crl's own MJX ant (ant_push): at 0.911 kg random actions throw the ant over z 1.0 within 45 steps, at 7.29 kg a fall takes about 560 |
| target | a 1 kg body on two slides | a mocap marker of the scene |
"""  # noqa: E501 - a table row cannot be broken

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import mujoco

from deepcrl.envs.scenes.arena import FRICTION, GROUND, WALL

JOINTS = ("hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3", "hip_4", "ankle_4")
"""In the order of qpos and qvel, after the torso's free joint."""
ACTUATORS = ("hip_4", "ankle_4", "hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3")
INIT_QPOS = (0.0, 0.0, 0.75, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0)
GEAR = 150.0
DENSITY = 40.0
"""kg/m^3; the robot weighs 7.29 kg."""
_LEGS = ((1, 1), (-1, 1), (-1, -1), (1, -1))
_HIP_RANGE, _ANKLE_NEAR, _ANKLE_FAR = math.radians(30), math.radians(30), math.radians(70)
_TORSO_RGBA, _HIP_RGBA, _SHIN_RGBA = (0.93, 0.52, 0.22, 1), (0.93, 0.60, 0.30, 1), (0.80, 0.38, 0.16, 1)


def ant(density: float = DENSITY) -> mujoco.MjSpec:
    """Returns an ant whose body `torso` is above the origin, at z 0.75; free joint `root`, then `JOINTS`."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    torso = spec.worldbody.add_body(name="torso", pos=INIT_QPOS[:3])
    torso.add_freejoint(name="root")
    torso.add_geom(
        name="torso",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=(0.25, 0, 0),
        density=density,
        rgba=_TORSO_RGBA,
        contype=0,
        conaffinity=WALL,
        friction=FRICTION,
        condim=3,
    )
    for number, (x, y) in enumerate(_LEGS, start=1):
        _add_leg(torso, number, x, y, density)
    for joint in ACTUATORS:
        spec.add_actuator(
            name=joint,
            target=joint,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gear=(GEAR, 0, 0, 0, 0, 0),
            ctrllimited=True,
            ctrlrange=(-1, 1),
        )
    return spec


def _add_leg(torso: mujoco.MjsBody, number: int, x: int, y: int, density: float) -> None:
    """Adds the leg towards (x, y): an inner capsule fixed to the torso, a hip link and a shin."""
    _add_link(torso, f"inner_{number}", (0.2 * x, 0.2 * y, 0), density, conaffinity=0, rgba=_HIP_RGBA)
    hip = torso.add_body(name=f"hip_{number}", pos=(0.2 * x, 0.2 * y, 0))
    _add_hinge(hip, f"hip_{number}", axis=(0, 0, 1), limits=(-_HIP_RANGE, _HIP_RANGE))
    _add_link(hip, f"hip_{number}", (0.2 * x, 0.2 * y, 0), density, conaffinity=WALL, rgba=_HIP_RGBA)
    shin = hip.add_body(name=f"shin_{number}", pos=(0.2 * x, 0.2 * y, 0))
    # Axes (-1, 1) and (1, 1) repeat on opposite legs, so the lower two-sided range flips its sign with y's
    downward = (_ANKLE_NEAR, _ANKLE_FAR) if x > 0 else (-_ANKLE_FAR, -_ANKLE_NEAR)
    _add_hinge(shin, f"ankle_{number}", axis=(-1 if x == y else 1, 1, 0), limits=downward)
    _add_link(shin, f"shin_{number}", (0.4 * x, 0.4 * y, 0), density, conaffinity=GROUND | WALL, rgba=_SHIN_RGBA)


def _add_hinge(body: mujoco.MjsBody, name: str, axis: tuple[float, float, float], limits: tuple[float, float]) -> None:
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=axis,
        limited=True,
        range=limits,
        armature=1,
        damping=1,
    )


def _add_link(
    body: mujoco.MjsBody,
    name: str,
    end: tuple[float, float, float],
    density: float,
    conaffinity: int,
    rgba: tuple[float, float, float, float],
) -> None:
    """Adds a capsule of radius 0.08 from the body's origin to `end`."""
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(0, 0, 0, *end),
        size=(0.08, 0, 0),
        density=density,
        rgba=rgba,
        contype=0,
        conaffinity=conaffinity,
        friction=FRICTION,
        condim=3,
    )
