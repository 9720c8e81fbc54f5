"""Checks of settings that agents of hitting times share."""

from __future__ import annotations

from deepcrl.core.agents.hitting.labels import Dwell
from deepcrl.core.checks import at_least
from deepcrl.core.types import EnvSpec


def checked_radius(radius: float, spec: EnvSpec, agent: str) -> float:
    """Returns the radius within which a goal is reached, 0 being the task's; ValueError if there is none."""
    at_least("agent.radius", radius, 0)
    if not radius and spec.success_radius is None:
        raise ValueError(
            f"agent={agent} learns when a goal is reached, but the task states no success radius around its goals; "
            "set agent.radius, such as 0.5"
        )
    return radius or spec.success_radius or 0.0


def checked_dwell(steps: int, stride: int, horizon: int) -> Dwell:
    """Returns the dwell; ValueError for one that is none, or that does not fit into the horizon."""
    at_least("agent.dwell_steps", steps, 1)
    at_least("agent.dwell_stride", stride, 1)
    dwell = Dwell(steps, stride)
    if dwell.span >= horizon:
        raise ValueError(
            f"agent.dwell_steps={steps} x dwell_stride={stride} does not fit into agent.horizon={horizon}; lower one"
        )
    return dwell


def checked_discount(name: str, discount: float) -> float:
    """Returns the discount; ValueError unless it lies between 0 and 1."""
    if not 0 < discount < 1:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, got {discount}")
    return discount
