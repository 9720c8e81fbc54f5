"""The reacher: two links that turn in a plane. Numbers from Brax's reacher.xml, itself Gymnasium's.

| what | reacher.xml | here |
|---|---|---|
| target | a body on two slides | a mocap marker of the scene |
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco

GEAR = 200.0
"""N m; of Gymnasium, Brax and JaxGCRL. With the armature of 1 kg m^2, full action accelerates by 200 rad/s^2."""
LINK, TIP, HEIGHT = 0.1, 0.11, 0.01
"""Metres: a link, the elbow's distance to the fingertip, the plane's height."""
_LINK_RGBA, _TIP_RGBA, _ROOT_RGBA = (0.93, 0.52, 0.22, 1), (0.80, 0.38, 0.16, 1), (0.36, 0.47, 0.60, 1)


def reacher() -> mujoco.MjSpec:
    """Returns a reacher that lies along +x: hinges `joint0` and `joint1`, body `fingertip`, no contacts."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    _add_capsule(spec.worldbody, "root", (0, 0, 0, 0, 0, 2 * HEIGHT), 0.011, _ROOT_RGBA)
    upper = spec.worldbody.add_body(name="body0", pos=(0, 0, HEIGHT))
    _add_hinge(spec, upper, "joint0", None)
    _add_capsule(upper, "link0", (0, 0, 0, LINK, 0, 0), 0.01, _LINK_RGBA)
    lower = upper.add_body(name="body1", pos=(LINK, 0, 0))
    _add_hinge(spec, lower, "joint1", 3.0)
    _add_capsule(lower, "link1", (0, 0, 0, LINK, 0, 0), 0.01, _LINK_RGBA)
    tip = lower.add_body(name="fingertip", pos=(TIP, 0, 0))
    tip.add_geom(
        name="fingertip",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=(0.01, 0, 0),
        rgba=_TIP_RGBA,
        contype=0,
        conaffinity=0,
    )
    return spec


def _add_hinge(spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, limit: float | None) -> None:
    """Adds a hinge about z with its motor; `limit` in radians, to both sides."""
    joint = body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1), armature=1, damping=1)
    joint.limited = limit is not None
    if limit is not None:
        joint.range = (-limit, limit)
    spec.add_actuator(
        name=name,
        target=name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gear=(GEAR, 0, 0, 0, 0, 0),
        ctrllimited=True,
        ctrlrange=(-1, 1),
    )


def _add_capsule(
    body: mujoco.MjsBody,
    name: str,
    ends: tuple[float, ...],
    radius: float,
    rgba: tuple[float, float, float, float],
) -> None:
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=ends,
        size=(radius, 0, 0),
        rgba=rgba,
        contype=0,
        conaffinity=0,
    )
