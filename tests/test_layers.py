"""Who may import whom (design, section 1), read from the source, so that no import has to run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "deepcrl").rglob("*.py"))
BASE = ("deepcrl.core.registry", "deepcrl.core.types", "deepcrl.core.components")

# Module or package -> what of ours it may import, itself included. The longest prefix counts; without one all but cli.
ALLOWED: dict[str, tuple[str, ...]] = {
    "deepcrl.core.registry": (),
    "deepcrl.core.types": (),
    "deepcrl.core.seeding": (),
    "deepcrl.core.components": ("deepcrl.core.registry",),
    "deepcrl.kernels": (*BASE, "deepcrl.kernels"),
    "deepcrl.nets": (*BASE, "deepcrl.nets", "deepcrl.kernels"),
    "deepcrl.envs": (*BASE, "deepcrl.envs"),
    "deepcrl.core.energies": BASE,
    "deepcrl.core.losses": (*BASE, "deepcrl.core.losses"),
    "deepcrl.core.buffers": (*BASE, "deepcrl.core.buffers"),
    "deepcrl.core.agents": (
        *BASE,
        "deepcrl.core.agents",
        "deepcrl.core.energies",
        "deepcrl.core.seeding",
        "deepcrl.nets",
    ),
    # Which loss and which energies the kernels can fuse is decided here, and nowhere else
    "deepcrl.core.agents.common.contrast": (
        *BASE,
        "deepcrl.core.energies",
        "deepcrl.core.losses.infonce",
        "deepcrl.kernels",
    ),
    "deepcrl.train.evaluate": ("deepcrl.core.types",),
    "deepcrl.train.progress": (),
    "deepcrl.train.interrupt": (),
    "deepcrl.run.checkpoint": (),
    "deepcrl.train.block_norms": (),
    "deepcrl.train.loop": (
        "deepcrl.core.types",
        "deepcrl.train.block_norms",
        "deepcrl.train.config",
        "deepcrl.train.evaluate",
        "deepcrl.train.interrupt",
        "deepcrl.train.progress",
    ),
    "deepcrl.cli": ("deepcrl",),
    "deepcrl.__main__": ("deepcrl.cli",),
}
INSIDE_FUNCTIONS_ONLY = (
    "triton",
    "wandb",
    "mujoco_warp",
    "minari",
    "matplotlib",
    "imageio_ffmpeg",
    "jax",
    "flax",
    "warp",
)
# Kernels are decorated where they are defined; nobody imports these modules before a kernel is wanted.
WRITTEN_IN_TRITON = "deepcrl.kernels.triton"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, *, in_functions: bool = True) -> Iterator[str]:
    """Yields imported modules; those under `if TYPE_CHECKING` never run, so they do not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif in_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(node, in_functions=in_functions)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def refused(module: str, tree: ast.AST) -> list[str]:
    """Returns the imports of `module` that the rules forbid."""
    rules = [prefix for prefix in ALLOWED if within(module, (prefix,))]
    ours = [name for name in imports(tree) if within(name, ("deepcrl",))]
    if rules:
        bad = [name for name in ours if not within(name, ALLOWED[max(rules, key=len)])]
    else:
        bad = [name for name in ours if within(name, ("deepcrl.cli",))]
    if not within(module, ("deepcrl.cli", "deepcrl.core.registry")):
        bad += [name for name in imports(tree) if within(name, ("hydra", "omegaconf"))]
    if not within(module, (WRITTEN_IN_TRITON,)):
        heavy = (*INSIDE_FUNCTIONS_ONLY, WRITTEN_IN_TRITON)
        bad += [name for name in imports(tree, in_functions=False) if within(name, heavy)]
    return bad


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_only_what_it_may(path: Path) -> None:
    assert refused(module_of(path), ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("deepcrl.core.types", "from deepcrl.core import registry"),
        ("deepcrl.nets.mlp", "from deepcrl.core.agents.crl import CRL"),
        ("deepcrl.envs.tasks.ant", "def f():\n    from deepcrl.train.config import RunConfig"),
        ("deepcrl.train.loop", "from deepcrl.core.losses.infonce import infonce"),
        ("deepcrl.run.recorder", "from deepcrl.cli.hydra.errors import fail"),
        ("deepcrl.run.recorder", "import hydra"),
        ("deepcrl.run.plots.curves", "import matplotlib.pyplot as plt"),
        ("deepcrl.run.plots.curves", "class A:\n    import matplotlib"),
        ("deepcrl.kernels.dispatch", "from deepcrl.kernels.triton import trunk"),
        ("deepcrl.kernels.dispatch", "try:\n    import triton\nexcept ImportError:\n    triton = None"),
    ],
)
def test_the_test_sees_what_is_forbidden(module: str, source: str) -> None:
    assert refused(module, ast.parse(source))


@pytest.mark.parametrize(
    "source",
    ["def f():\n    import matplotlib", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import matplotlib"],
)
def test_the_test_lets_pass_what_is_allowed(source: str) -> None:
    assert not refused("deepcrl.run.plots.curves", ast.parse(source))


def test_there_is_something_to_look_at() -> None:
    modules = set(map(module_of, FILES))
    assert {prefix.partition(".__")[0] for prefix in ALLOWED} <= modules


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
