"""The point: a ball that is pushed along x and y. From simple_maze.xml of JaxGCRL and its spring engine.

| what | simple_maze.xml | here |
|---|---|---|
| inertia | density mass plus armature 1; the spring engine uses neither and takes 1 kg | 1 kg, no armature |
| controls | unlimited; policies end in tanh | limited to [-1, 1] |
| height | the ball floats at z 0.75 | it floats 1 cm above the floor, so that its shadow shows where it is |
| walls | friction 1 | frictionless: the ball cannot roll, so it would stick |
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco

from deepcrl.envs.scenes.arena import WALL

MASS = 1.0
GEAR = 5.0
"""N; with `MASS`, full action accelerates by 5 m/s^2. Nothing limits the speed and nothing damps it."""
RADIUS = 0.25
SPEED = 10.0
"""m/s, of a point that is driven by velocity."""
STIFFNESS = 50.0
"""N per m/s: the velocity is what was asked for after two of the five time steps of an action."""
_RGBA = (0.93, 0.52, 0.22, 1)


def point(drive: str = "force") -> mujoco.MjSpec:
    """Returns a point whose body `torso` is at the origin, with slides `x` and `y`, driven by force or velocity."""
    spec = mujoco.MjSpec()
    torso = spec.worldbody.add_body(name="torso", pos=(0, 0, RADIUS + 0.01))
    torso.add_geom(
        name="torso",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=(RADIUS, 0, 0),
        mass=MASS,
        rgba=_RGBA,
        contype=0,
        conaffinity=WALL,
        condim=1,
        priority=1,  # so that condim 1 wins over the wall's 3
    )
    for name, axis in (("x", (1, 0, 0)), ("y", (0, 1, 0))):
        torso.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
        motor = spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrllimited=True, ctrlrange=(-1, 1)
        )
        if drive == "velocity":  # force = STIFFNESS (SPEED control - velocity)
            motor.gaintype, motor.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
            motor.gainprm[0], motor.biasprm[2] = STIFFNESS * SPEED, -STIFFNESS
        else:
            motor.gear = (GEAR, 0, 0, 0, 0, 0)
    return spec
