"""`deepcrl export RUN_DIR FILE.npz`: writes what a run has collected as a dataset, for offline training."""

from __future__ import annotations

from pathlib import Path

from deepcrl.cli.hydra.errors import ArgumentParser, given_path, user_errors
from deepcrl.cli.hydra.paths import hydra_value
from deepcrl.core.components import ENVS, discover
from deepcrl.core.settings import flatten
from deepcrl.run.checkpoint import find
from deepcrl.run.datasets.export import export
from deepcrl.run.hints import command, typed
from deepcrl.training.config import RunConfig
from deepcrl.training.validate import validated

TASK_SETTINGS = ("episode_length", "reset", "physics")
"""Settings of a run beside its environment's that make its task another one."""


def main(arguments: list[str]) -> None:
    """Exports the ring of the newest checkpoint and says how to learn from it."""
    parser = ArgumentParser("deepcrl export", description=__doc__)
    parser.add_argument("run_dir", type=given_path, help="a run directory, or one of its checkpoints")
    parser.add_argument("path", metavar="FILE.npz", type=_file, help="a new file, in OGBench's layout")
    options = parser.parse_args(arguments)
    with user_errors():
        discover()
        checkpoint = find(options.run_dir)
        arrays = export(checkpoint, options.path)
        hint = learn_command(validated(checkpoint.config), typed(options.path))
    num, trajectories = len(arrays["terminals"]), int(arrays["terminals"].sum())
    print(f"{options.path}: {num:,} steps in {trajectories:,} trajectories")
    print(f"learn from it: {hint}")


def _file(text: str) -> Path:
    return given_path(text.removeprefix("out="))  # as `play` has it


def learn_command(config: RunConfig, path: str) -> str:
    """Returns the command that learns offline from `path` in the environment of a run: all that is not by default."""
    name = config.env["name"]
    default = {"name": name, **flatten(ENVS.defaults(name))}
    given = {f"env.{key}": value for key, value in flatten(config.env).items() if default.get(key) != value}
    plain = RunConfig()
    given |= {key: getattr(config, key) for key in TASK_SETTINGS if getattr(config, key) != getattr(plain, key)}
    settings = [f"{key}={hydra_value(value)}" for key, value in given.items()]
    return command("train", f"env={name}", *settings, "buffer=dataset", f"buffer.path={path}")
