"""Environments and lists of components, from Python."""

from __future__ import annotations

from deepcrl.cli.hydra.words import checked, plain_errors
from deepcrl.cli.saved_run import without_a_run
from deepcrl.core.components import REGISTRIES, discover
from deepcrl.core.types import VectorEnv
from deepcrl.training.build import build_envs


def registry() -> dict[str, list[str]]:
    """Returns the names of all components by kind: `registry()["losses"]`."""
    discover()
    return {kind: list(names) for kind, names in REGISTRIES.items()}


def make_envs(name: str, *settings: str, num_envs: int, seed: int = 0) -> VectorEnv:
    """Returns `num_envs` copies of an environment, stepped together: `make_envs("ant_u_maze", num_envs=64)`.

    `settings` are those of `deepcrl train` that concern it: `"env.layout=perfect_21"`, `"episode_length=500"`,
    `"reset=fixed"`. Raises ValueError, in one line, for one that makes no sense.
    """
    with plain_errors():
        config = without_a_run([f"env={name}", *checked(settings), *([f"seed={seed}"] if seed else [])])
    return build_envs(config, config.env, num_envs, "envs")
