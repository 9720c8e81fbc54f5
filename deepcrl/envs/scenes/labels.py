"""Words for the entries of states and actions that robots share; see `GoalTask.state_labels`."""

from __future__ import annotations

FREE_POSITION = (
    *(f"torso {axis} (m)" for axis in "xyz"),
    *(f"torso quaternion {part}" for part in "wxyz"),
)
"""qpos of a free joint."""
FREE_VELOCITY = (
    *(f"torso {axis} velocity (m/s)" for axis in "xyz"),
    *(f"torso angular velocity {axis}, body frame (rad/s)" for axis in "xyz"),
)
"""qvel of a free joint: the linear part in the world, the angular part in the body's frame."""


def angles(joints: tuple[str, ...]) -> tuple[str, ...]:
    """Returns a label for the angle of each hinge."""
    return tuple(f"{joint} angle (rad)" for joint in joints)


def angle_rates(joints: tuple[str, ...]) -> tuple[str, ...]:
    """Returns a label for the angular velocity of each hinge."""
    return tuple(f"{joint} velocity (rad/s)" for joint in joints)


def torques(joints: tuple[str, ...]) -> tuple[str, ...]:
    """Returns a label for the motor of each hinge."""
    return tuple(f"{joint} motor" for joint in joints)
