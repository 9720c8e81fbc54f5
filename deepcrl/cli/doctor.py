"""`deepcrl doctor`: what a bug report needs, and what is missing here, with the command that installs it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from deepcrl.cli.hydra.errors import ArgumentParser

EXTRAS = {
    "sweep": ("hydra_plugins.hydra_joblib_launcher", "hydra_plugins.hydra_submitit_launcher"),
    "offline": ("minari",),
    "robotics": ("gymnasium_robotics",),
    "warp": ("mujoco_warp",),
    "bench": ("jax", "flax"),
}
"""A module or two of each extra, by which one sees whether it is installed."""
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "neon", "asimd", "bf16")
"""Instructions of processors that decide which kernels run, and whether bf16 is fast."""
WIDTH = 12


def main(arguments: list[str]) -> None:
    """Prints one block."""
    ArgumentParser("deepcrl doctor", description=__doc__).parse_args(arguments)
    for name, value in findings().items():
        print(f"{name:<{WIDTH}}{value}")
    missing = [extra for extra, modules in EXTRAS.items() if not all(map(_is_there, modules))]
    print(f"{'extras':<{WIDTH}}{', '.join(extra for extra in EXTRAS if extra not in missing) or 'none'}")
    for extra in missing:
        print(f"{'':<{WIDTH}}{extra} is not installed: pip install 'deepcrl[{extra}]'")


def findings() -> dict[str, str]:
    """Returns what there is, by name, each in one line."""
    from deepcrl.run.environment import describe_environment
    from deepcrl.version import __version__

    here = describe_environment()
    versions, machine = here["versions"], here["machine"]
    return {
        "deepcrl": __version__ + _revision(here["git"]),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if name != "deepcrl"),
        "machine": f"{machine['os']}, {machine['cpu']}, {machine['cpu_cores']} cores, {_memory()}",
        "kernels": _kernels(),
        "gpu": ", ".join(machine["gpus"]) or "none that PyTorch sees",
        "drawing": _drawing(),
        "free disk": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB in this folder",
    }


def _revision(git: dict[str, Any] | None) -> str:
    return f", git {git['revision'][:10]}{' with changes' if git['dirty'] else ''}" if git else ""


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB of memory free"


def _kernels() -> str:
    from deepcrl.kernels.native import build

    words = set(build.processor().replace(",", " ").split())
    found = ", ".join(flag for flag in FLAGS if flag in words) or "no vector instructions that are used"
    compiler = build.compiler()
    return f"{found}; " + (f"compiled by {compiler}" if compiler else "no C++ compiler, so plain PyTorch: install g++")


def _drawing() -> str:
    """Draws a picture: there is no other way to know."""
    from deepcrl.core.components import ENVS, discover
    from deepcrl.envs import make_envs
    from deepcrl.envs.pictures.render import Renderable, rendering

    discover()
    backend = os.environ.get("MUJOCO_GL", "chosen by itself")
    envs = make_envs({"name": "reacher", **ENVS.defaults("reacher")}, num_envs=1, episode_length=2, seed=0)
    assert isinstance(envs, Renderable)
    try:
        envs.reset()
        with rendering(envs, 32, 32) as picture:
            picture(0)
    except RuntimeError as error:
        return f"does not work (MUJOCO_GL {backend}): {error}"
    return f"works (MUJOCO_GL {backend})"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False
