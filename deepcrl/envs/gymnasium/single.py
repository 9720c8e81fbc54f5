"""One copy of a Gymnasium environment: how it is made, and which goal it speaks of."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from deepcrl.envs.gymnasium import robotics_shim

GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")
"""What a goal environment observes."""
NEXT_GOAL = "deepcrl_next_goal"
"""Where `info` holds the goal that an environment pursues from the next step on; see `TellsNextGoal`."""
ROBOTICS = "gymnasium_robotics"


def make_one(id: str, kwargs: Mapping[str, Any]) -> gymnasium.Env:
    """Makes one copy of a Gymnasium environment without its own time limit.

    Raises ValueError, in one line, if there is none of that name, its package is missing, or it refuses `kwargs`.
    """
    if "max_episode_steps" in kwargs:
        raise ValueError("env.kwargs.max_episode_steps: an episode's length is the run's episode_length")
    module, _, name = id.rpartition(":")
    try:
        if importlib.util.find_spec(ROBOTICS):
            robotics_shim.apply()
        if module:  # "module:Name-v0": importing the module registers the id
            importlib.import_module(module)
        spec = gymnasium.spec(name)
    except ImportError as error:
        raise ValueError(f"env.id={id}: {error}") from error
    except gymnasium.error.Error as error:
        raise ValueError(_unknown(name, gymnasium.registry)) from error
    try:
        env = gymnasium.make(spec, max_episode_steps=-1, disable_env_checker=True, **kwargs)
    except Exception as error:  # other people's environments raise anything
        newer = _newer_version(name)
        hint = f"; {newer} is the newest version of it" if newer else ""
        raise ValueError(f"env.id={id} cannot be made: {in_one_line(error)}{hint}") from error
    return TellsNextGoal(env) if getattr(env.unwrapped, "reset_target", False) else env


class TellsNextGoal(gymnasium.Wrapper):
    """Adds to the `info` of a step the goal that the environment pursues from then on.

    The mazes of gymnasium-robotics, with `reset_target`, draw another goal when one is reached, but the observation of
    that step still shows the old one: an agent would act on it for one step while success already means the new one.
    """

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = self.env.step(action)
        goal = np.array(self.get_wrapper_attr("goal"), dtype=np.float64)
        return seen, reward, terminated, truncated, {**info, NEXT_GOAL: goal}


def in_one_line(error: Exception) -> str:
    """Returns what an exception of other people's code says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _newer_version(id: str) -> str | None:
    """Returns the id of the newest version of an environment, unless `id` is it."""
    name, _, version = id.rpartition("-v")
    others = [re.fullmatch(rf"{re.escape(name)}-v(\d+)", other) for other in gymnasium.registry]
    newest = max((int(match[1]) for match in others if match), default=0)
    return f"{name}-v{newest}" if version.isdigit() and newest > int(version) else None


def _unknown(id: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(id, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if not importlib.util.find_spec(ROBOTICS):
        hint += " PointMaze, AntMaze, Fetch and Hand need gymnasium-robotics: pip install 'deepcrl[robotics]'"
    return f"Unknown Gymnasium environment {id!r}.{hint}"
