"""What can be imported, and what answers, without which of the dependencies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BESIDE_TORCH = (
    *("gymnasium", "hydra", "imageio_ffmpeg", "matplotlib", "minari", "mujoco", "mujoco_warp", "omegaconf"),
    *("PIL", "psutil", "rich", "wandb", "yaml"),
)
"""Dependencies that a machine with PyTorch, NumPy, einops and perhaps Triton lacks."""


@pytest.mark.parametrize("room", ["core", "nets", "kernels"])
def test_a_room_needs_torch_only(room: str) -> None:
    program = f"""
import importlib, importlib.util, pkgutil, sys
sys.modules.update(dict.fromkeys({BESIDE_TORCH!r}))  # None: `import` raises ModuleNotFoundError
package = importlib.import_module("deepcrl.{room}")
for module in pkgutil.walk_packages(package.__path__, "deepcrl.{room}."):
    if importlib.util.find_spec("triton") or not module.name.startswith("deepcrl.kernels.triton."):
        importlib.import_module(module.name)
        print(module.name)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=120, stdout=subprocess.PIPE, text=True)
    assert f"deepcrl.{room}." in done.stdout


def test_the_benchmark_for_gpus_needs_torch_and_triton_only() -> None:
    """`make bench-gpu` runs with a machine's own PyTorch and installs nothing."""
    program = f"import sys; sys.modules.update(dict.fromkeys({BESIDE_TORCH!r})); import benchmarks.gpu"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=ROOT)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"]])
def test_deepcrl_and_its_help_need_no_torch(arguments: list[str]) -> None:
    program = f"""
import sys
sys.argv = ["deepcrl", *{arguments!r}]
import deepcrl
from deepcrl.cli import main
main()
assert not {{"torch", "hydra", "mujoco", "numpy", "rich"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.DEVNULL)
