"""Checks what the report reads of a config.yaml, which anybody may have written: nothing behind it checks again."""

from __future__ import annotations

import sys
from typing import Any

MAX_DEPTH = 20
"""Of settings within settings."""
MAX_VALUES = 10_000
UNBUILDABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, OverflowError, OSError)
"""What building a run of arbitrary settings and checkpoints may raise: the page then lacks a number or a picture."""


def check_config(config: Any) -> None:
    """Raises ValueError, in one line, unless the settings that the report reads are there and of their types."""
    _check_size(config)
    if not (isinstance(config, dict) and isinstance(config.get("env"), dict) and "name" in config["env"]):
        raise ValueError("config.yaml names no env")
    for group in ("env", "eval_env"):
        scored = config.get(group)
        if scored is not None and not (isinstance(scored, dict) and isinstance(scored.get("name"), str)):
            raise ValueError(f"config.yaml has no name in {group}={_short(scored)}")
    for group in ("encoder", "learners"):
        if not isinstance(config.get(group) or {}, dict):
            raise ValueError(f"config.yaml has {group}={_short(config[group])}, which is no group of settings")
    for key, least in (("seed", 0), ("episode_length", 1)):
        value = config.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**63:
            raise ValueError(f"config.yaml has {key}={_short(value)}, which is no whole number of at least {least}")
    _check_values(config, MAX_DEPTH)


def names_module(config: dict[str, Any]) -> bool:
    """Whether building the run's environment would import a module that its id names (`module:Name-v0`)."""
    envs = [config.get(group) for group in ("env", "eval_env")]
    return any(isinstance(env, dict) and ":" in str(env.get("id", "")) for env in envs)


def _check_size(config: Any) -> None:
    """YAML of a kilobyte may name one list in another, over and over, or in itself."""
    left, count = [config], 0
    while left:
        value = left.pop()
        count += 1
        if count > MAX_VALUES:
            raise ValueError(f"config.yaml holds more than {MAX_VALUES:,} values")
        left += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _check_values(value: Any, depth: int) -> None:
    """Keys must be text, and numbers such as a float can hold."""
    if isinstance(value, dict | list):
        if not depth:
            raise ValueError(f"config.yaml is nested more than {MAX_DEPTH} deep")
        for key in value if isinstance(value, dict) else ():
            if not isinstance(key, str):
                raise ValueError(f"config.yaml has the key {_short(key)}, which is no text")
        for item in value.values() if isinstance(value, dict) else value:
            _check_values(item, depth - 1)
    elif isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ValueError(f"config.yaml has a number of {len(str(value))} digits")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
