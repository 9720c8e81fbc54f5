"""The pusher: an arm of seven hinges with a fork at its wrist. Numbers from Brax's pusher.xml, itself Gymnasium's.

| what | pusher.xml | here |
|---|---|---|
| bodies without joints | four | joined with the body before |
| fork | its tip, for the observation, is the wrist | a body midway between the prongs' ends |
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from dataclasses import dataclass

import mujoco
import torch
from torch import Tensor

from deepcrl.envs.scenes.arena import GROUND, WALL
from deepcrl.envs.scenes.places import cos_sin

BASE = (0.0, -0.6, 0.0)
"""Metres: the shoulder's place in the source, whose table is at z -0.325."""
GEAR = 2.0
"""N m at full action."""
FRICTION = (0.8, 0.1, 0.1)
DENSITY = 300.0
_RGBA, _FORK_RGBA = (0.93, 0.52, 0.22, 1), (0.80, 0.38, 0.16, 1)
_FACE_RGBA, _EYE_RGBA = (0.95, 0.95, 0.95, 1), (0.15, 0.17, 0.20, 1)

Shape = tuple[float, float, float, float, float, float, float]
"""Both ends of a capsule and its radius, in metres."""


@dataclass(frozen=True, slots=True)
class Link:
    """What turns about one hinge. Metres, radians, N m s/rad."""

    joint: str
    pos: tuple[float, float, float]
    """Of its hinge, in the link before."""
    axis: tuple[int, int, int]
    limits: tuple[float, float]
    damping: float
    shapes: tuple[Shape, ...]


_X, _Y, _Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)
LINKS = (
    Link("shoulder_pan", (0, 0, 0), _Z, (-2.2854, 1.714602), 1, ((0, 0, -0.4, 0, 0, 0.2, 0.1),)),
    Link("shoulder_lift", (0.1, 0, 0), _Y, (-0.5236, 1.3963), 1, ((0, -0.1, 0, 0, 0.1, 0, 0.1),)),
    Link(
        *("upper_arm_roll", (0, 0, 0), _X, (-1.5, 1.7), 0.1),
        ((-0.1, 0, 0, 0.1, 0, 0, 0.02), (0, 0, 0, 0.4, 0, 0, 0.06)),
    ),
    Link("elbow_flex", (0.4, 0, 0), _Y, (-2.3213, 0), 0.1, ((0, -0.02, 0, 0, 0.02, 0, 0.06),)),
    Link(
        *("forearm_roll", (0, 0, 0), _X, (-1.5, 1.5), 0.1),
        ((-0.1, 0, 0, 0.1, 0, 0, 0.02), (0, 0, 0, 0.291, 0, 0, 0.05)),
    ),
    Link("wrist_flex", (0.321, 0, 0), _Y, (-1.094, 0), 0.1, ((0, -0.02, 0, 0, 0.02, 0, 0.01),)),
    Link("wrist_roll", (0, 0, 0), _X, (-1.5, 1.5), 0.1, ()),
)
JOINTS = tuple(link.joint for link in LINKS)
"""In the order of qpos, qvel and ctrl."""
FORK = 0.1
"""Metres along +x: the wrist's distance to the fork's tip."""
_FORK = ((0, -0.1, 0, 0, 0.1, 0, 0.02), (0, -0.1, 0, 0.1, -0.1, 0, 0.02), (0, 0.1, 0, 0.1, 0.1, 0, 0.02))


def pusher() -> mujoco.MjSpec:
    """Returns a pusher at `BASE` that stretches along +x: hinges `JOINTS`, body `fork`; only the fork collides."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    body, pos = spec.worldbody, BASE
    for link in LINKS:
        body = body.add_body(name=link.joint, pos=[a + b for a, b in zip(pos, link.pos, strict=True)])
        pos = (0, 0, 0)
        _add_hinge(spec, body, link)
        for shape in link.shapes:
            _add_capsule(body, shape, _RGBA, conaffinity=0)
    _add_face(spec.body(JOINTS[0]))
    for shape in _FORK:
        _add_capsule(body, shape, _FORK_RGBA, conaffinity=GROUND | WALL)
    fork = body.add_body(name="fork", pos=(FORK, 0, 0))
    for y in (-0.1, 0.1):
        _add_ball(fork, (0, y, 0), 0.01, _FORK_RGBA)
    return spec


def fork_place(angle: Tensor) -> Tensor:
    """Returns where the fork's tip is, [N, 3] metres, at joint angles [N, 7] rad: cheaper than MuJoCo's kinematics."""
    angle = angle.T.contiguous()
    cos, sin = cos_sin(angle)
    zero = torch.zeros_like(cos[0])
    place = [zero + FORK, zero, zero]
    for link, c, s in reversed(list(zip(LINKS, cos, sin, strict=True))):  # from the tip to the shoulder
        first = (link.axis.index(1) + 1) % 3
        second = (first + 1) % 3
        a, b = place[first], place[second]
        place[first], place[second] = c * a - s * b, s * a + c * b
        place = [p + offset if offset else p for p, offset in zip(place, link.pos, strict=True)]
    return torch.stack([p + offset if offset else p for p, offset in zip(place, BASE, strict=True)], dim=1)


def _add_hinge(spec: mujoco.MjSpec, body: mujoco.MjsBody, link: Link) -> None:
    body.add_joint(
        name=link.joint,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=link.axis,
        limited=True,
        range=link.limits,
        damping=link.damping,
        armature=0.04,
    )
    spec.add_actuator(
        name=link.joint,
        target=link.joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gear=(GEAR, 0, 0, 0, 0, 0),
        ctrllimited=True,
        ctrlrange=(-1, 1),
    )


def _add_face(shoulder: mujoco.MjsBody) -> None:
    for x in (-0.06, 0.06):
        _add_ball(shoulder, (x, 0.05, 0.2), 0.05, _FACE_RGBA)
        _add_ball(shoulder, (x, 0.09, 0.2), 0.03, _EYE_RGBA)


def _add_capsule(
    body: mujoco.MjsBody, shape: Shape, rgba: tuple[float, float, float, float], *, conaffinity: int
) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=shape[:6],
        size=(shape[6], 0, 0),
        density=DENSITY,
        rgba=rgba,
        contype=0,
        conaffinity=conaffinity,
        friction=FRICTION,
        condim=3,
    )


def _add_ball(
    body: mujoco.MjsBody, pos: tuple[float, float, float], radius: float, rgba: tuple[float, float, float, float]
) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        pos=pos,
        size=(radius, 0, 0),
        density=DENSITY,
        rgba=rgba,
        contype=0,
        conaffinity=0,
    )
