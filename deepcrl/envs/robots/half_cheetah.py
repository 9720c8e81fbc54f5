"""The half-cheetah: a planar runner with two legs. Numbers from half_cheetah.xml of scaling-crl, itself Gymnasium's.

| what | scaling-crl | here |
|---|---|---|
| mass | 14 kg, of which the goal marker is 0.63 | 14 kg, as in Gymnasium |
| contacts | head, thighs and feet hit the floor; torso and shins sink into it | every part hits it, as in Gymnasium |
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco

from deepcrl.envs.scenes.arena import GROUND

START_Z = 0.7
"""Metres; the joint `rootz` is measured from it."""
ROOT = ("rootx", "rootz", "rooty")
RADIUS = 0.046
DENSITY = 660.88495
"""kg/m^3; the robot weighs 14 kg."""
_TORSO_RGBA, _LEG_RGBA = (0.93, 0.52, 0.22, 1), (0.80, 0.38, 0.16, 1)


@dataclass(frozen=True, slots=True)
class Link:
    """A leg's part: a capsule that turns about y at its body's origin. Lengths in metres, angles in radians."""

    name: str
    pos: tuple[float, float]
    """x and z of the body in its parent."""
    limits: tuple[float, float]
    gear: float
    """N m at full action."""
    stiffness: float
    damping: float
    centre: tuple[float, float]
    """x and z of the capsule in the body."""
    angle: float
    half_length: float


LEGS = (
    (
        Link("bthigh", (-0.5, 0), (-0.52, 1.05), 120, 240, 6, (0.1, -0.13), -3.8, 0.145),
        Link("bshin", (0.16, -0.25), (-0.785, 0.785), 90, 180, 4.5, (-0.14, -0.07), -2.03, 0.15),
        Link("bfoot", (-0.28, -0.14), (-0.4, 0.785), 60, 120, 3, (0.03, -0.097), -0.27, 0.094),
    ),
    (
        Link("fthigh", (0.5, 0), (-1, 0.7), 120, 180, 4.5, (-0.07, -0.12), 0.52, 0.133),
        Link("fshin", (-0.14, -0.24), (-1.2, 0.87), 60, 120, 3, (0.065, -0.09), -0.6, 0.106),
        Link("ffoot", (0.13, -0.18), (-0.5, 0.5), 30, 60, 1.5, (0.045, -0.07), -0.6, 0.07),
    ),
)
JOINTS = tuple(link.name for leg in LEGS for link in leg)
"""In the order of qpos, qvel and ctrl, after `ROOT`."""


def half_cheetah() -> mujoco.MjSpec:
    """Returns a half-cheetah whose body `torso` is above the origin; joints `ROOT`, then `JOINTS`."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    torso = spec.worldbody.add_body(name="torso", pos=(0, 0, START_Z))
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    for name, kind, axis in zip(ROOT, (slide, slide, hinge), ((1, 0, 0), (0, 0, 1), (0, 1, 0)), strict=True):
        torso.add_joint(name=name, type=kind, axis=axis)
    _add_capsule(torso, "torso", (0, 0), math.pi / 2, 0.5, _TORSO_RGBA)
    _add_capsule(torso, "head", (0.6, 0.1), 0.87, 0.15, _TORSO_RGBA)
    for leg in LEGS:
        parent = torso
        for link in leg:
            parent = _add_link(parent, link)
            spec.add_actuator(
                name=link.name,
                target=link.name,
                trntype=mujoco.mjtTrn.mjTRN_JOINT,
                gear=(link.gear, 0, 0, 0, 0, 0),
                ctrllimited=True,
                ctrlrange=(-1, 1),
            )
    return spec


def _add_link(parent: mujoco.MjsBody, link: Link) -> mujoco.MjsBody:
    body = parent.add_body(name=link.name, pos=(link.pos[0], 0, link.pos[1]))
    body.add_joint(
        name=link.name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=(0, 1, 0),
        limited=True,
        range=link.limits,
        stiffness=link.stiffness,
        damping=link.damping,
        armature=0.1,
        solref_limit=(0.02, 1),
        solimp_limit=(0, 0.8, 0.03, 0.5, 2),
    )
    _add_capsule(body, link.name, link.centre, link.angle, link.half_length, _LEG_RGBA)
    return body


def _add_capsule(
    body: mujoco.MjsBody,
    name: str,
    centre: tuple[float, float],
    angle: float,
    half_length: float,
    rgba: tuple[float, float, float, float],
) -> None:
    """Adds a capsule, upright and then turned by `angle` about y."""
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        pos=(centre[0], 0, centre[1]),
        quat=(math.cos(angle / 2), 0, math.sin(angle / 2), 0),
        size=(RADIUS, half_length, 0),
        density=DENSITY,
        rgba=rgba,
        contype=0,
        conaffinity=GROUND,
        friction=(0.4, 0.1, 0.1),
        condim=3,
        solref=(0.02, 1),
        solimp=(0, 0.8, 0.01, 0.5, 2),
        priority=1,  # so that this contact wins over the floor's
    )
