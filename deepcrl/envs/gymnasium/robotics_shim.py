"""Imports gymnasium-robotics 1.4 so that it works with MuJoCo 3.12 and newer; nothing else in deepcrl knows of this.

Its `mujoco_utils` looks up a model's integers in tuples of MuJoCo's enums (`joint_type in (mjJNT_HINGE, ...)`). Since
MuJoCo 3.12 an enum no longer equals a NumPy integer from its side, so Fetch, Hand and Kitchen stop at an assertion.
Here that one module, and no other, gets the enums' numbers.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import importlib
import importlib.util
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np

_ENUMS = ("mjtJoint", "mjtEq", "mjtObj")


class _IntegerEnums:
    """The module `mujoco`, but for enums that are plain integers."""

    def __init__(self) -> None:
        for name in _ENUMS:
            members = getattr(mujoco, name).__members__
            setattr(self, name, SimpleNamespace(**{key: int(member) for key, member in members.items()}))

    def __getattr__(self, name: str) -> Any:
        return getattr(mujoco, name)


def is_needed() -> bool:
    """Whether this MuJoCo's enums differ from NumPy's integers when they are asked, as `in` does."""
    hinge = mujoco.mjtJoint.mjJNT_HINGE
    return hinge != np.int32(int(hinge))


def apply() -> None:
    """Imports gymnasium-robotics, which registers its environments; patches it if needed. Safe to call again."""
    _silence()
    importlib.import_module("gymnasium_robotics")
    utils = importlib.import_module("gymnasium_robotics.utils.mujoco_utils")
    if is_needed() and not isinstance(utils.mujoco, _IntegerEnums):
        utils.mujoco = _IntegerEnums()


def _silence() -> None:
    """Drops the notice that it prints when imported: on rewards of Adroit tasks, which deepcrl does not read."""
    if importlib.util.find_spec("farama_notifications"):
        importlib.import_module("farama_notifications").notifications.pop("gymnasium_robotics", None)
