"""Every id of scaling-crl (S) and JaxGCRL (J), what it is here and what differs.

The ids are accepted wherever an environment is named. The table stands in docs/environments.md, where every difference
is a row of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANT_LAYOUTS = (
    *("u_maze", "u_maze_eval", "u_maze_single_eval"),
    *(f"u_maze_eval_{steps}" for steps in ("1f2f3f", "1f2f3f4f", "1f2f3f4f5f", "5f6f")),
    *("u2_maze", "u2_maze_eval", "u3_maze", "u3_maze_eval", "u3_maze_single_eval", "u4_maze", "u4_maze_eval"),
    *("u5_maze", "u5_maze_eval", "u5_maze_single_eval", "u6_maze", "u6_maze_eval", "u7_maze", "u7_maze_eval"),
    *("big_maze", "big_maze_eval", "hardest_maze"),
)
HUMANOID_LAYOUTS = ("u_maze", "u_maze_eval", "big_maze", "big_maze_eval", "hardest_maze")


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids that share a row: which repository has them and what differs here."""

    source: str
    old: tuple[str, ...]
    differs: str
    new: tuple[str, ...] = ()
    """Their names here, in the same order; empty: the same."""


TABLE = (
    Ids("S, J", ("reacher",), "control step, gear"),
    Ids("S", ("pusher",), "cannot be built there", ("pusher_easy",)),
    Ids("J", ("pusher_easy", "pusher_hard"), "motors, goals' height, the fork's tip, the object"),
    Ids("J", ("pusher_reacher",), "as `pusher_easy`; no object"),
    Ids("J", ("pusher2",), "as `pusher_easy`; objects collide, goals are independent"),
    Ids("S, J", ("arm_reach",), "servos, gravity, joint 7, start"),
    Ids("S, J", ("arm_push_easy", "arm_push_hard"), "as `arm_reach`; start of the cube; state (J)"),
    Ids("S, J", ("arm_binpick_easy", "arm_binpick_hard"), "as `arm_push_easy`; spread (J)"),
    Ids("S", ("arm_binpick_easy_EEF",), "as `arm_binpick_easy`; state", ("arm_binpick_easy_eef",)),
    Ids("S, J", ("arm_grasp",), "as `arm_push_easy`; goals across the arm's plane, without lag; start of the fingers"),
    Ids("S, J", ("ant",), "weight, start height"),
    Ids("J", ("ant_random_start",), "as `ant`; noise of the start"),
    Ids("S, J", tuple(f"ant_{name}" for name in ANT_LAYOUTS), "as `ant`; legs and walls"),
    Ids("S, J", ("ant_ball",), "as `ant`; goal indices, the ball and its start"),
    Ids("J", ("ant_ball_u_maze", "ant_ball_big_maze"), "as `ant_ball`; ball and goal are independent"),
    Ids("J", ("ant_ball_maze",), "fails there; here any layout with a ball"),
    Ids("S, J", ("ant_push",), "the block"),
    Ids("S, J", ("humanoid",), "state without the goal, control step, motors, inertias, noise of the start"),
    Ids("S, J", tuple(f"humanoid_{name}" for name in HUMANOID_LAYOUTS), "as `humanoid`"),
    Ids("J", ("cheetah",), "weight, contacts", ("half_cheetah",)),
    Ids(
        "J",
        tuple(f"simple_{name}" for name in HUMANOID_LAYOUTS),
        "engine, no friction",
        tuple(f"point_{name}" for name in HUMANOID_LAYOUTS),
    ),
)
RENAMED = {old: new for row in TABLE for old, new in zip(row.old, row.new, strict=False)}
_GRASP = re.compile(r"arm_grasp_(\d+(?:\.\d+)?)")
_STITCHING = re.compile(r"(ant_\w+_maze)_gen_((?:\d+f)+)")


def translate(name: str) -> dict[str, Any]:
    """Returns the name here of the environment `name`, and the hyperparameters that its old id stands for.

    A name that is no old id is returned as it is.
    """
    stitching = _STITCHING.fullmatch(name)
    if stitching:
        return {"name": stitching[1], "goal_steps": [int(steps) for steps in stitching[2].split("f")[:-1]]}
    grasp = _GRASP.fullmatch(name)
    if grasp:
        return {"name": "arm_grasp", "cube_noise": float(grasp[1])}
    return {"name": RENAMED.get(name, name)}


def translate_cfg(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `{"name": ..., hyperparameters...}` with an old id translated; hyperparameters that are given win."""
    return translate(cfg["name"]) | {key: value for key, value in cfg.items() if key != "name"}


def markdown() -> str:
    """Returns the table of docs/environments.md."""
    lines = ["| S and J | ids | here | differs |", "|---|---|---|---|"]
    for row in TABLE:
        old, new = (", ".join(f"`{name}`" for name in names) for names in (row.old, row.new))
        lines.append(f"| {row.source} | {old} | {new or 'the same'} | {row.differs} |")
    lines.append(
        "| S | `ant_<layout>_gen_<k>f<l>f...` | `env=ant_<layout> env.goal_steps=[k,l,...]` "
        "| noise of the start, distances that are not drawn there |"
    )
    lines.append("| S | `arm_grasp_<x>` | `env=arm_grasp env.cube_noise=<x>` | as `arm_grasp` |")
    return "\n".join(lines)
