"""The humanoid: 17 hinges on a free torso. Numbers from humanoid.xml of scaling-crl, itself Gymnasium's and OpenAI's.

| what | scaling-crl | here |
|---|---|---|
| motors | its spring engine's: 140 N m for trunk and legs, 40 N m for arms; its file's are as here | those of the file: 0.4 of gears 100 to 300 for trunk and legs, 25 for arms, in N m |
| links | unit inertia in the spring engine | their own inertia |
| contacts | every part with floor and walls, none with itself | the same |
| tendons of hip and knee | none; Gymnasium has them, without stiffness | none |
| feet | bodies of their own in the file, fused into the shins when it is loaded | part of the shins |
"""  # noqa: E501 - a table row cannot be broken

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import mujoco

from deepcrl.envs.scenes.arena import FRICTION, GROUND, WALL

START_Z = 1.4
"""Metres; the feet hang 0.107 m above the floor."""
CONTROL = 0.4
"""The file limits controls to this; here actions are in [-1, 1] and gears that much smaller."""
GEARS = {
    **{"abdomen_y": 100, "abdomen_z": 100, "abdomen_x": 100},
    **{"right_hip_x": 100, "right_hip_z": 100, "right_hip_y": 300, "right_knee": 200},
    **{"left_hip_x": 100, "left_hip_z": 100, "left_hip_y": 300, "left_knee": 200},
    **{"right_shoulder1": 25, "right_shoulder2": 25, "right_elbow": 25},
    **{"left_shoulder1": 25, "left_shoulder2": 25, "left_elbow": 25},
}
"""Of the file, in the order of the actuators. Note abdomen_y before abdomen_z; the joints are the other way round."""
ACTUATORS = tuple(GEARS)
JOINTS = ("abdomen_z", "abdomen_y", *ACTUATORS[2:])
"""In the order of qpos and qvel, after the torso's free joint."""
LINKS = (
    *("torso", "lwaist", "pelvis", "right_thigh", "right_shin", "left_thigh", "left_shin"),
    *("right_upper_arm", "right_lower_arm", "left_upper_arm", "left_lower_arm"),
)
"""In the order of the model's bodies."""
_TILT = (1.0, 0.0, -0.002, 0.0)
_TRUNK_RGBA, _LIMB_RGBA = (0.93, 0.52, 0.22, 1), (0.80, 0.38, 0.16, 1)

Vector = tuple[float, float, float]


def humanoid() -> mujoco.MjSpec:
    """Returns a humanoid whose body `torso` is above the origin; free joint `root`, then `JOINTS`."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    torso = spec.worldbody.add_body(name="torso", pos=(0, 0, START_Z))
    torso.add_freejoint(name="root")
    _capsule(torso, "torso", (0, -0.07, 0), (0, 0.07, 0), 0.07, _TRUNK_RGBA)
    _ball(torso, "head", (0, 0, 0.19), 0.09, _TRUNK_RGBA)
    _capsule(torso, "uwaist", (-0.01, -0.06, -0.12), (-0.01, 0.06, -0.12), 0.06, _TRUNK_RGBA)
    pelvis = _add_waist(torso)
    for side, y in (("right", -1), ("left", 1)):
        _add_leg(pelvis, side, y)
    for side, y in (("right", -1), ("left", 1)):
        _add_arm(torso, side, y)
    for joint, gear in GEARS.items():
        spec.add_actuator(
            name=joint,
            target=joint,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gear=(CONTROL * gear, 0, 0, 0, 0, 0),
            ctrllimited=True,
            ctrlrange=(-1, 1),
        )
    return spec


def _add_waist(torso: mujoco.MjsBody) -> mujoco.MjsBody:
    """Adds the lower waist and the pelvis; returns the pelvis."""
    waist = torso.add_body(name="lwaist", pos=(-0.01, 0, -0.26), quat=_TILT)
    _capsule(waist, "lwaist", (0, -0.06, 0), (0, 0.06, 0), 0.06, _TRUNK_RGBA)
    _hinge(waist, "abdomen_z", (0, 0, 1), (-45, 45), 20, 5, 0.02, pos=(0, 0, 0.065))
    _hinge(waist, "abdomen_y", (0, 1, 0), (-75, 30), 10, 5, 0.02, pos=(0, 0, 0.065))
    pelvis = waist.add_body(name="pelvis", pos=(0, 0, -0.165), quat=_TILT)
    _hinge(pelvis, "abdomen_x", (1, 0, 0), (-35, 35), 10, 5, 0.02, pos=(0, 0, 0.1))
    _capsule(pelvis, "pelvis", (-0.02, -0.07, 0), (-0.02, 0.07, 0), 0.09, _TRUNK_RGBA)
    return pelvis


def _add_leg(pelvis: mujoco.MjsBody, side: str, y: int) -> None:
    """Adds thigh and shin, the foot's ball included. Hips turn so that both legs share their ranges."""
    thigh = pelvis.add_body(name=f"{side}_thigh", pos=(0, 0.1 * y, -0.04))
    _hinge(thigh, f"{side}_hip_x", (-y, 0, 0), (-25, 5), 10, 5, 0.01)
    _hinge(thigh, f"{side}_hip_z", (0, 0, -y), (-60, 35), 10, 5, 0.01)
    # The file's legs differ slightly, here and in the knee's stiffness
    _hinge(thigh, f"{side}_hip_y", (0, 1, 0), (-110, 20), 20, 5, 0.01 if side == "left" else 0.008)
    _capsule(thigh, f"{side}_thigh", (0, 0, 0), (0, -0.01 * y, -0.34), 0.06, _LIMB_RGBA)
    shin = thigh.add_body(name=f"{side}_shin", pos=(0, -0.01 * y, -0.403))
    stiffness = 1 if side == "left" else 0
    _hinge(shin, f"{side}_knee", (0, -1, 0), (-160, -2), stiffness, 1, 0.006, pos=(0, 0, 0.02))
    _capsule(shin, f"{side}_shin", (0, 0, 0), (0, 0, -0.3), 0.049, _LIMB_RGBA)
    _ball(shin, f"{side}_foot", (0, 0, -0.35), 0.075, _LIMB_RGBA)


def _add_arm(torso: mujoco.MjsBody, side: str, y: int) -> None:
    upper = torso.add_body(name=f"{side}_upper_arm", pos=(0, 0.17 * y, 0.06))
    limits = (-60, 85) if side == "left" else (-85, 60)
    _hinge(upper, f"{side}_shoulder1", (2, -y, 1), limits, 1, 1, 0.0068)
    _hinge(upper, f"{side}_shoulder2", (0, y, 1), limits, 1, 1, 0.0051)
    _capsule(upper, f"{side}_upper_arm", (0, 0, 0), (0.16, 0.16 * y, -0.16), 0.04, _LIMB_RGBA)
    lower = upper.add_body(name=f"{side}_lower_arm", pos=(0.18, 0.18 * y, -0.18))
    _hinge(lower, f"{side}_elbow", (0, -1, -y), (-90, 50), 0, 1, 0.0028)
    _capsule(lower, f"{side}_lower_arm", (0.01, -0.01 * y, 0.01), (0.17, -0.17 * y, 0.17), 0.031, _LIMB_RGBA)
    _ball(lower, f"{side}_hand", (0.18, -0.18 * y, 0.18), 0.04, _LIMB_RGBA)


def _hinge(
    body: mujoco.MjsBody,
    name: str,
    axis: Vector,
    degrees: tuple[float, float],
    stiffness: float,
    damping: float,
    armature: float,
    pos: Vector = (0, 0, 0),
) -> None:
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=axis,
        pos=pos,
        limited=True,
        range=[math.radians(degree) for degree in degrees],
        stiffness=stiffness,
        damping=damping,
        armature=armature,
    )


def _capsule(body: mujoco.MjsBody, name: str, start: Vector, end: Vector, radius: float, rgba: tuple) -> None:
    _geom(body, name, mujoco.mjtGeom.mjGEOM_CAPSULE, rgba, fromto=(*start, *end), size=(radius, 0, 0))


def _ball(body: mujoco.MjsBody, name: str, centre: Vector, radius: float, rgba: tuple) -> None:
    _geom(body, name, mujoco.mjtGeom.mjGEOM_SPHERE, rgba, pos=centre, size=(radius, 0, 0))


def _geom(body: mujoco.MjsBody, name: str, kind: mujoco.mjtGeom, rgba: tuple, **shape: tuple) -> None:
    body.add_geom(
        name=name,
        type=kind,
        rgba=rgba,
        contype=0,
        conaffinity=GROUND | WALL,
        friction=FRICTION,
        condim=3,
        **shape,
    )
