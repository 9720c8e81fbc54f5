"""How many contacts and constraints a simulation can have: MuJoCo Warp has to know before the first step."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np

MAX_NEIGHBOURS = 6
"""How many other geoms a geom is taken to touch at once, at most: the floor, the walls of a corner, other bodies."""
_PLANE, _SPHERE, _CAPSULE, _BOX = (
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{name}")) for name in ("PLANE", "SPHERE", "CAPSULE", "BOX")
)
_ROWS_PER_EQUALITY = 6  # a weld constraint, the largest kind


class Bounds(NamedTuple):
    """What a simulation gets memory for."""

    contacts: int
    searched_pairs: int
    """Pairs of geoms without a formula of their own, such as two boxes; the search for their contacts takes memory."""
    constraints: int


def bounds(model: mujoco.MjModel) -> Bounds:
    """Returns numbers that a model of rigid bodies keeps unless one geom touches more than MAX_NEIGHBOURS others."""
    kind, body = model.geom_type, model.body_weldid[model.geom_bodyid]
    meets = (model.geom_contype[:, None] & model.geom_conaffinity) != 0
    meets = (meets | meets.T) & (body[:, None] != body)
    meets[model.pair_geom1, model.pair_geom2] = meets[model.pair_geom2, model.pair_geom1] = True
    points = np.select([kind == _SPHERE, kind == _CAPSULE], [1, 2], default=8)
    points = np.minimum(points[:, None], points) * meets
    dim = np.maximum(model.geom_condim[:, None], model.geom_condim)
    dim[model.pair_geom1, model.pair_geom2] = dim[model.pair_geom2, model.pair_geom1] = model.pair_dim
    rows = points * np.maximum(1, 2 * (dim - 1))  # rows of a pyramidal cone; an elliptic one has fewer
    round_, formula = np.isin(kind, (_SPHERE, _CAPSULE)), np.isin(kind, (_SPHERE, _CAPSULE, _BOX))
    plane = kind == _PLANE
    by_formula = plane[:, None] | plane | (round_[:, None] & formula) | (formula[:, None] & round_)
    moving = body > 0  # at least one geom of every pair moves
    contacts, searched, contact_rows = (_sum_largest(pairs[moving]) for pairs in (points, meets & ~by_formula, rows))
    limits = model.jnt_limited.sum() + 2 * model.tendon_limited.sum()
    frictions = model.nv + model.ntendon
    return Bounds(contacts, searched, int(contact_rows + limits + frictions + _ROWS_PER_EQUALITY * model.neq))


def _sum_largest(pairs: np.ndarray) -> int:
    """Sums each row's MAX_NEIGHBOURS largest entries."""
    return int(np.sort(pairs, axis=1)[:, -MAX_NEIGHBOURS:].sum())
