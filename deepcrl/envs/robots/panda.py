"""The Franka Panda, an arm of seven hinges with a two-finger hand, and the hand alone, floating.

Kinematics, inertias and limits are those of MuJoCo Menagerie, as scaling-crl and JaxGCRL use them; shapes are
primitive. Collision shapes are theirs too: the hand's capsule and the fingers' boxes; links never collide.

| what | scaling-crl, JaxGCRL | here |
|---|---|---|
| servos | gain 0.5 to 1 of kp: a joint settles at that share of its target | gain = kp, Menagerie's values |
| gravity | pulls the arm, up to 0.013 rad from its target | compensated, as the real robot does |
| joints 1 to 7 | their loader drops armature, damping, and the limits of joints 1, 3, 5 and 7 | all kept |
| hand | its 0.871 kg are dropped | kept |
| fingertips | bodies on hinges limited to 1e-4 rad | sites, at the same place |
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco

from deepcrl.envs.scenes.arena import FRICTION, GROUND, WALL

JOINTS = tuple(f"joint{number}" for number in range(1, 8))
FINGERS = ("left_finger", "right_finger")
"""Names of bodies, of their slides and of their servos. Both slides are 0 when the hand is closed."""
STROKE = 0.08
"""Metres that each finger opens."""
TIP = (0.0, 0.005, 0.07)
"""Metres, of a fingertip in its finger: fingertips are the sum of both slides plus 0.01 apart."""
HAND_OFFSET = 0.107
"""Metres from link7's origin to the hand's."""
HAND_JOINTS = ("hand_x", "hand_y", "hand_z")
HAND_LIMITS = ((-0.4, 0.4), (0.35, 0.85), (0.0, 0.3))
"""Metres, of the floating hand."""
_WHITE, _GREY, _DARK = (0.94, 0.95, 0.97, 1), (0.55, 0.58, 0.62, 1), (0.25, 0.27, 0.30, 1)
_TURN = math.sqrt(0.5)
_TIP_RGBA = (0.93, 0.52, 0.22, 1)

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Link:
    """One link: it turns about its own z axis. Metres, radians, kg, kg m^2, N m."""

    pos: Vector
    """Of its origin, in the link before."""
    turn: int
    """Its frame is the one of the link before turned by this many quarters about x."""
    limits: tuple[float, float]
    kp: float
    """N m/rad of its servo; the servo's damping is a tenth of it, in N m s/rad."""
    force: float
    """What the servo can give, N m."""
    mass: float
    centre: Vector
    """Of mass."""
    inertia: tuple[float, float, float, float, float, float]
    """About the centre: xx, yy, zz, xy, xz, yz."""
    shapes: tuple[tuple[Vector, Vector, float], ...]
    """Looks only: ends and radius of capsules, the first in grey."""


_ROUND = (-2.8973, 2.8973)
LINKS = (
    Link(
        *((0, 0, 0.333), 0, _ROUND, 4500, 87),
        *(4.970684, (0.003875, 0.002081, -0.04762), (0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169)),
        (((0, -0.06, 0), (0, 0.06, 0), 0.06), ((0, 0, -0.18), (0, 0, -0.02), 0.057)),
    ),
    Link(
        *((0, 0, 0), -1, (-1.7628, 1.7628), 4500, 87),
        *(0.646926, (-0.003141, -0.02872, 0.003495), (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704)),
        (((0, -0.14, 0), (0, -0.19, 0), 0.058), ((0, -0.02, 0), (0, -0.14, 0), 0.057)),
    ),
    Link(
        *((0, -0.316, 0), 1, _ROUND, 3500, 87),
        *(3.228604, (0.027518, 0.039252, -0.066502), (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805)),
        (((0.0825, -0.05, 0), (0.0825, 0.05, 0), 0.055), ((0, 0, -0.09), (0.06, 0, -0.01), 0.055)),
    ),
    Link(
        *((0.0825, 0, 0), 1, (-3.0718, -0.0698), 3500, 87),
        *(3.587895, (-0.05317, 0.104419, 0.027454), (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641)),
        (((-0.0825, 0.1, 0), (-0.0825, 0.14, 0), 0.055), ((0, 0, 0), (-0.0825, 0.08, 0), 0.053)),
    ),
    Link(
        *((-0.0825, 0.384, 0), -1, _ROUND, 2000, 12),
        *(1.225946, (-0.011953, 0.041065, -0.038437), (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229)),
        (((0, -0.05, 0), (0, 0.05, 0), 0.05), ((0, 0, -0.23), (0, 0.03, -0.02), 0.048)),
    ),
    Link(
        *((0, 0, 0), 1, (-0.0175, 3.7525), 2000, 12),
        *(1.666555, (0.060149, -0.014117, -0.010517), (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341)),
        (((0.088, -0.03, 0), (0.088, 0.03, 0), 0.046), ((0, 0, 0), (0.07, 0, 0), 0.045)),
    ),
    Link(
        *((0.088, 0, 0), 1, _ROUND, 2000, 12),
        *(0.735522, (0.010517, -0.004252, 0.061597), (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741)),
        (((0, 0, 0.06), (0, 0, 0.08), 0.042),),
    ),
)
"""Of joints 1 to 7, from the base to the hand."""


def panda(*, fingers: bool) -> mujoco.MjSpec:
    """Returns a Panda whose base is at the origin and which looks along +x: `JOINTS`, then `FINGERS` if asked.

    Controls are targets: angles of the joints in radians, slides of the fingers in metres. Bodies `link1` to `link7`
    and `hand`.
    """
    spec = _spec()
    _add_looks(spec.worldbody, (((-0.1, 0, 0.03), (0.02, 0, 0.03), 0.07), ((0, 0, 0.05), (0, 0, 0.14), 0.07)))
    body = spec.worldbody
    for joint, link in zip(JOINTS, LINKS, strict=True):
        body = _add_link(body, joint, link)
    eighth = math.pi / 8
    _add_hand(body, (0, 0, HAND_OFFSET), (math.cos(eighth), 0, 0, -math.sin(eighth)), fingers=fingers)
    for joint, link in zip(JOINTS, LINKS, strict=True):
        _add_servo(spec, joint, link.kp, link.kp / 10, link.force, link.limits)
    if fingers:
        _add_finger_servos(spec)
    return spec


def floating_hand() -> mujoco.MjSpec:
    """Returns the hand alone, its fingers down, without weight: slides `HAND_JOINTS`, then `FINGERS`.

    The slides are the hand's position in the world. Controls are targets, in metres.
    """
    spec = _spec()
    hand = _add_hand(spec.worldbody, (0, 0, 0), (0, -_TURN, _TURN, 0), fingers=True)
    for joint, axis, limits in zip(HAND_JOINTS, ((0, -1, 0), (-1, 0, 0), (0, 0, -1)), HAND_LIMITS, strict=True):
        hand.add_joint(name=joint, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis, limited=True, range=limits)
        _add_servo(spec, joint, 1000, 100, 87, limits)
    _add_finger_servos(spec)
    return spec


def _spec() -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    return spec


def _add_link(parent: mujoco.MjsBody, joint: str, link: Link) -> mujoco.MjsBody:
    quat = (1, 0, 0, 0) if link.turn == 0 else (_TURN, link.turn * _TURN, 0, 0)
    body = parent.add_body(name=joint.replace("joint", "link"), pos=link.pos, quat=quat, gravcomp=1)
    body.explicitinertial = True
    body.mass, body.ipos, body.fullinertia = link.mass, link.centre, link.inertia
    body.add_joint(
        name=joint,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=(0, 0, 1),
        limited=True,
        range=link.limits,
        armature=0.1,
        damping=5,
    )
    _add_looks(body, link.shapes)
    return body


def _add_looks(body: mujoco.MjsBody, shapes: tuple[tuple[Vector, Vector, float], ...]) -> None:
    for number, (start, end, radius) in enumerate(shapes):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(*start, *end),
            size=(radius, 0, 0),
            rgba=_WHITE if number else _GREY,
            mass=0,
            contype=0,
            conaffinity=0,
        )


def _add_hand(
    parent: mujoco.MjsBody, pos: Vector, quat: tuple[float, float, float, float], *, fingers: bool
) -> mujoco.MjsBody:
    """Adds the body `hand`, whose +z is where its fingers point and whose y is along their slides."""
    hand = parent.add_body(name="hand", pos=pos, quat=quat, gravcomp=1)
    hand.add_geom(
        name="hand",
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(0, -0.06, 0.035, 0, 0.06, 0.035),
        size=(0.04, 0, 0),
        density=1000,
        rgba=_WHITE,
        contype=0,
        conaffinity=GROUND | WALL,
        friction=FRICTION,
        condim=3,
    )
    if fingers:
        for name, side in zip(FINGERS, ((1, 0, 0, 0), (0, 0, 0, 1)), strict=True):
            _add_finger(hand, name, side)
    return hand


def _add_finger(hand: mujoco.MjsBody, name: str, quat: tuple[float, float, float, float]) -> None:
    """Adds a finger that opens along its own y axis, with a site at its tip."""
    finger = hand.add_body(name=name, pos=(0, 0, 0.0584), quat=quat, gravcomp=1)
    finger.explicitinertial = True
    finger.mass, finger.inertia = 0.015, (2.375e-6, 2.375e-6, 7.5e-7)
    finger.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(0, 1, 0),
        limited=True,
        range=(0, STROKE),
        armature=0.1,
        damping=5,
    )
    finger.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, 0.0055, 0.035),
        size=(0.015, 0.005, 0.04),
        rgba=_DARK,
        contype=0,
        conaffinity=GROUND | WALL,
        friction=FRICTION,
        condim=3,
    )
    finger.add_site(name=f"{name}tip", pos=TIP, size=(0.004, 0, 0), rgba=_TIP_RGBA)


def _add_finger_servos(spec: mujoco.MjSpec) -> None:
    """Adds the servos of both fingers, and the constraint that they open alike."""
    for name in FINGERS:
        _add_servo(spec, name, 500, 50, 500, (0, STROKE))
    equality = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1=FINGERS[0], name2=FINGERS[1])
    equality.objtype = mujoco.mjtObj.mjOBJ_JOINT
    equality.data[:5] = (0, 1, 0, 0, 0)
    equality.solref, equality.solimp[:3] = (0.005, 1), (0.95, 0.99, 0.001)


def _add_servo(
    spec: mujoco.MjSpec, joint: str, kp: float, kd: float, force: float, limits: tuple[float, float]
) -> None:
    """Adds a servo that holds its control, a position within `limits`: kp * (control - position) - kd * velocity."""
    actuator = spec.add_actuator(
        name=joint,
        target=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        ctrllimited=True,
        ctrlrange=limits,
        forcelimited=True,
        forcerange=(-force, force),
    )
    actuator.gainprm[0], actuator.biasprm[:3] = kp, (0, -kp, -kd)
