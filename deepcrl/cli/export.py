"""`deepcrl export RUN_DIR FILE.npz`: writes what a run has collected as a dataset, for offline training."""

from __future__ import annotations

from pathlib import Path

from deepcrl.cli.hydra.errors import ArgumentParser, user_errors
from deepcrl.core.components import discover
from deepcrl.run.checkpoint import find
from deepcrl.run.export import export


def main(arguments: list[str]) -> None:
    """Exports the ring of the newest checkpoint and says how to learn from it."""
    parser = ArgumentParser("deepcrl export", description=__doc__)
    parser.add_argument("run_dir", help="a run directory, or one of its checkpoints")
    parser.add_argument("path", type=Path, metavar="FILE.npz", help="a new file, in OGBench's layout")
    options = parser.parse_args(arguments)
    with user_errors():
        discover()
        checkpoint = find(options.run_dir)
        arrays = export(checkpoint, options.path)
    num, trajectories = len(arrays["terminals"]), int(arrays["terminals"].sum())
    print(f"{options.path}: {num:,} steps in {trajectories:,} trajectories")
    env = checkpoint.config["env"]["name"]
    print(f"learn from it: deepcrl train env={env} buffer=dataset buffer.path={options.path}")
