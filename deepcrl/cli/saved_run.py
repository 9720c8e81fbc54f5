"""The config that `eval` and `play` use: a saved run's with the user's overrides on top, or the overrides alone."""

from __future__ import annotations

import json
from typing import Any

from deepcrl.cli.hydra.compose import compose_values
from deepcrl.cli.hydra.overrides import translate_ids
from deepcrl.core.checks import suggest
from deepcrl.run.saved import Saved
from deepcrl.train.config import RunConfig
from deepcrl.train.validate import validated

OVERRIDABLE = (
    *("env", "agent", "seed", "num_eval_envs", "episode_length", "reset"),
    *("num_threads", "device", "kernels", "physics"),
)
WITHOUT_A_RUN = ("env", "seed", "episode_length", "reset", "num_threads", "physics")


def with_overrides(saved: Saved, overrides: list[str]) -> RunConfig:
    """Returns the saved config, evaluated where and how `overrides` say.

    `env=...` names the evaluation environment, `agent.evaluation=best_of` the choice of actions. Raises ValueError for
    a setting that an evaluation cannot change.
    """
    overrides = translate_ids(overrides)
    _check(overrides, OVERRIDABLE)
    config = validated(saved.config)
    new_env = any(override.startswith("env=") for override in overrides)
    base = {"env": config.evaluation_env, "agent": config.agent}
    as_saved = [f"agent={config.agent['name']}", *_to_overrides("agent", base["agent"])]
    if not new_env:
        as_saved += [f"env={base['env']['name']}", *_to_overrides("env", base["env"])]
    composed = compose_values([*as_saved, *overrides])
    keys = {override.partition("=")[0].partition(".")[0] for override in overrides} - {"env"}
    return validated(
        saved.config | {key: composed[key] for key in keys} | {"eval_env": composed["env"], "logger": {"name": "none"}}
    )


def without_a_run(overrides: list[str]) -> RunConfig:
    """Returns the config of an evaluation in the environment that `overrides` name; ValueError as `with_overrides`."""
    overrides = translate_ids(overrides)
    _check(overrides, WITHOUT_A_RUN)
    if not any(override.startswith("env=") for override in overrides):
        raise ValueError("without a run, env=NAME says where to play, see `deepcrl list envs`")
    return validated(compose_values(overrides))


def _check(overrides: list[str], known: tuple[str, ...]) -> None:
    for override in overrides:
        key = override.partition("=")[0]
        if "=" not in override:
            raise ValueError(f"Cannot read the override {override!r}; an override is KEY=VALUE, such as seed=3")
        if key.partition(".")[0] not in known or key == "agent":
            raise ValueError(suggest("setting of an evaluation", key, known))


def _to_overrides(key: str, value: Any) -> list[str]:
    """Returns the overrides that set `key` to this value; a dict entry by entry, since Hydra reads no whole one."""
    if isinstance(value, dict) and value:
        return [override for name, entry in value.items() for override in _to_overrides(f"{key}.{name}", entry)]
    return [f"{key}={json.dumps(value)}"]
