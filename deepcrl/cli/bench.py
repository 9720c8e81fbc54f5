"""`deepcrl bench NAME`: measures speed on this machine, side by side, with quantiles."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from deepcrl.cli.hydra.compose import project_dir
from deepcrl.cli.hydra.errors import fail, user_errors
from deepcrl.core.checks import suggest

BENCHMARKS_DIR = project_dir("benchmarks")
NAMES = {
    "train": "environment steps per second on ant, learning included",
    "update": "one gradient step against plain PyTorch and a jitted Flax + Optax version",
    "infonce": "the loss of large batches by blocks of rows against energies and InfoNCE as they are written",
    "gpu": "the gradient step and the kernels on a GPU, with and without CUDA graphs",
    "memory": "memory predicted before training against the measured peak",
    "env_step": "env.step against the raw physics rate",
    "envs": "every environment family beside Gymnasium and Brax",
    "report": "a report of many runs: how long it takes to write and to open",
}


def main(arguments: list[str]) -> None:
    """Runs the benchmark of that name; the rest of the arguments is its own."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: deepcrl bench NAME [--json FILE] [...]\n")
        print("\n".join(f"  {name:<10}{text}" for name, text in NAMES.items()))
        return
    name, *rest = arguments
    if name not in NAMES:
        fail(suggest("benchmark", name, NAMES))
    # Benchmarks are scripts beside each other, not a package
    sys.path.insert(0, str(BENCHMARKS_DIR))
    spec = importlib.util.spec_from_file_location(f"bench_{name}", Path(BENCHMARKS_DIR, f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    with user_errors():
        module.main(rest)
