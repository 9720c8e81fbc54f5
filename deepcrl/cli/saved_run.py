"""What `eval` and `play` share: a run's settings with the user's overrides on top, or these alone."""

from __future__ import annotations

from typing import Any

from deepcrl.cli.hydra.compose import compose_values
from deepcrl.cli.hydra.overrides import translate_ids, warn_of_repeated
from deepcrl.cli.hydra.paths import hydra_value
from deepcrl.core.checks import suggest
from deepcrl.core.settings import flatten, split_key
from deepcrl.training.config import RunConfig
from deepcrl.training.validate import validated

OVERRIDABLE = (
    *("env", "agent", "seed", "num_eval_envs", "episode_length", "reset"),
    *("num_threads", "device", "kernels", "physics"),
)
WITHOUT_A_RUN = ("env", "seed", "episode_length", "reset", "num_threads", "physics")


def with_overrides(saved: dict[str, Any], overrides: list[str]) -> RunConfig:
    """Returns the settings of a saved run, evaluated where and how `overrides` say.

    `env=...` names the evaluation environment, `agent.evaluation=best_of` the choice of actions. Raises ValueError for
    a setting that an evaluation cannot change.
    """
    overrides = translate_ids(overrides)
    warn_of_repeated(overrides)
    _check(overrides, OVERRIDABLE)
    config = validated(saved)
    spelled = [f"agent={config.agent['name']}", *_to_overrides({"agent": config.agent})]
    if not any(override.startswith("env=") for override in overrides):
        env = config.evaluation_env
        spelled += [f"env={env['name']}", *_to_overrides({"env": env})]
    composed = compose_values([*spelled, *overrides])
    keys = {split_key(override.partition("=")[0])[0] for override in overrides} - {"env"}
    return validated(
        saved | {key: composed[key] for key in keys} | {"eval_env": composed["env"], "logger": {"name": "none"}}
    )


def without_a_run(overrides: list[str], known: tuple[str, ...] = WITHOUT_A_RUN) -> RunConfig:
    """Returns the config of the environment that `overrides` name, which may be of settings in `known`.

    Raises ValueError as `with_overrides`.
    """
    overrides = translate_ids(overrides)
    warn_of_repeated(overrides)
    _check(overrides, known)
    if not any(override.startswith("env=") for override in overrides):
        raise ValueError("without a run, env=NAME says where to play, see `deepcrl list envs`")
    return validated(compose_values(overrides))


def _check(overrides: list[str], known: tuple[str, ...]) -> None:
    for override in overrides:
        key = override.partition("=")[0]
        if "=" not in override:
            raise ValueError(f"Cannot read the override {override!r}; an override is KEY=VALUE, such as seed=3")
        if key == "agent" and key in known:
            raise ValueError(
                f"{override}: an evaluation keeps the run's agent; its settings can be changed: agent.evaluation=sample"
            )
        if split_key(key)[0] not in known:
            raise ValueError(suggest("setting of an evaluation", key, known))


def _to_overrides(values: dict[str, Any]) -> list[str]:
    """Returns the overrides that give these values, a dict's entry by entry: Hydra cannot read a whole one."""
    return [f"{key}={hydra_value(value)}" for key, value in flatten(values).items()]
