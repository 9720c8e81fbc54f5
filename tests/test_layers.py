"""Who may import whom (design, section 1), and how long folders and files may be: read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "deepcrl"
FILES = sorted(PACKAGE.rglob("*.py"))
WITH_PROGRAMS = ("deepcrl", "tests", "benchmarks", "docs/generate", "examples")

BELOW_TRAIN = ("deepcrl.core", "deepcrl.kernels", "deepcrl.envs", "deepcrl.nets")
BASE = tuple(
    f"deepcrl.core.{name}"
    for name in ("checks", "components", "files", "modules", "registry", "seeding", "settings", "states", "types")
)
# Room, or module with a narrower rule -> what of ours it may import. The longest prefix counts.
ALLOWED: dict[str, tuple[str, ...]] = {
    "deepcrl.core": ("deepcrl.core",),
    "deepcrl.core.checks": (),
    "deepcrl.core.files": (),
    "deepcrl.core.modules": (),
    "deepcrl.core.seeding": (),
    "deepcrl.core.settings": (),
    "deepcrl.core.states": ("deepcrl.core.types",),
    "deepcrl.core.state_file": (),
    "deepcrl.core.types": (),
    "deepcrl.core.registry": ("deepcrl.core.checks",),
    "deepcrl.core.components": ("deepcrl.core.registry",),
    "deepcrl.core.energies": BASE,
    "deepcrl.core.losses": (*BASE, "deepcrl.core.losses"),
    "deepcrl.core.buffers": (*BASE, "deepcrl.core.buffers"),
    "deepcrl.core.agents": (*BASE, "deepcrl.core.agents", "deepcrl.core.energies", "deepcrl.core.losses"),
    "deepcrl.kernels": ("deepcrl.kernels", "deepcrl.core"),
    "deepcrl.envs": ("deepcrl.envs", "deepcrl.core"),
    "deepcrl.nets": ("deepcrl.nets", "deepcrl.kernels", "deepcrl.core"),
    "deepcrl.training": ("deepcrl.training", *BELOW_TRAIN),
    # The loop names no environment, loss or net
    "deepcrl.training.loop": ("deepcrl.training", "deepcrl.core.types"),
    "deepcrl.training.evaluate": ("deepcrl.core.types", "deepcrl.training.interrupt"),
    "deepcrl.training.interrupt": (),
    "deepcrl.training.progress": ("deepcrl.core.states",),
    "deepcrl.run": ("deepcrl.run", "deepcrl.training", *BELOW_TRAIN),
    "deepcrl.report": ("deepcrl.report", "deepcrl.run", "deepcrl.training", *BELOW_TRAIN),
    "deepcrl.cli": ("deepcrl",),
    "deepcrl.__main__": ("deepcrl.cli",),
    "deepcrl.api": ("deepcrl",),
    "deepcrl.version": (),
    "deepcrl": ("deepcrl.api", "deepcrl.version"),
}
ONLY_IN_CLI_HYDRA = ("hydra", "omegaconf")
INSIDE_FUNCTIONS_ONLY = (
    *("triton", "wandb", "mujoco_warp", "minari", "matplotlib", "imageio_ffmpeg", "jax", "flax", "warp"),
    "deepcrl.kernels.triton",
)
# Kernels are decorated where they are defined; nobody imports these modules before a kernel is wanted
WRITTEN_IN_TRITON = "deepcrl.kernels.triton"

MAX_FILES = 12
"""Python files that a folder may hold beside its `__init__.py`."""
ONE_COMPONENT_PER_FILE = {
    PACKAGE / folder
    for folder in (
        "core/agents",
        "core/buffers/sources",
        "core/losses",
        "envs/robots",
        "envs/tasks",
        "nets",
        "run/loggers",
    )
}
MAX_LINES = 300


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, *, in_functions: bool = True) -> Iterator[str]:
    """Yields imported modules, also by `import_module("name")`. Those under `if TYPE_CHECKING` never run."""
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
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))
            yield from imports(node, in_functions=in_functions)


def within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def refused(module: str, tree: ast.AST) -> list[str]:
    """Returns the imports of `module` that the rules forbid."""
    allowed = ALLOWED[max((prefix for prefix in ALLOWED if within(module, [prefix])), key=len)]
    names = [name for name in imports(tree) if name != "deepcrl.version.__version__"]
    bad = [name for name in names if within(name, ["deepcrl"]) and not within(name, allowed)]
    if not within(module, ["deepcrl.cli.hydra"]):
        bad += [name for name in names if within(name, ONLY_IN_CLI_HYDRA)]
    if not within(module, [WRITTEN_IN_TRITON]):
        bad += [name for name in imports(tree, in_functions=False) if within(name, INSIDE_FUNCTIONS_ONLY)]
    return bad


def graph_of(trees: Mapping[str, ast.AST]) -> dict[str, set[str]]:
    """Returns for each module the others that its imports run: the modules that it names and the packages around them.

    Packages that it is in itself run before it, and count only where it takes a name of theirs.
    """
    graph: dict[str, set[str]] = {}
    for module, tree in trees.items():
        named = {name if name in trees else name.rpartition(".")[0] for name in imports(tree)}
        around = {name[:i] for name in named for i, letter in enumerate(name) if letter == "."}
        ran = named | {package for package in around if not within(module, [package])}
        graph[module] = (ran & trees.keys()) - {module}
    return graph


def reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Returns the modules that `start` imports, also through others."""
    found: set[str] = set()
    new = graph[start]
    while new:
        found |= new
        new = {other for module in new for other in graph[module]} - found
    return found


def circles(trees: Mapping[str, ast.AST]) -> dict[str, list[str]]:
    """Returns the modules that import themselves through others: which of these do so too."""
    graph = graph_of(trees)
    everything = {module: reached(graph, module) for module in graph}
    circular = [module for module in graph if module in everything[module]]
    return {module: [other for other in circular if module in everything[other]] for module in circular}


def crowded(files: Iterable[Path]) -> dict[Path, int]:
    """Returns the folders that hold too many files, and how many."""
    loose = [path.parent for path in files if path.name != "__init__.py"]
    counts = {folder: loose.count(folder) for folder in set(loose) - ONE_COMPONENT_PER_FILE}
    return {folder: count for folder, count in counts.items() if count > MAX_FILES}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_only_what_it_may(path: Path) -> None:
    assert refused(module_of(path), ast.parse(path.read_text())) == []


def test_no_module_imports_itself_through_others() -> None:
    assert circles({module_of(path): ast.parse(path.read_text()) for path in FILES}) == {}


def test_folders_hold_few_files() -> None:
    assert crowded(FILES) == {}


def test_files_are_short() -> None:
    paths = [path for folder in WITH_PROGRAMS for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=module_of)
def test_a_package_says_what_it_holds_and_may_import(path: Path) -> None:
    first_line = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    assert re.search(r"^\S.+\. May import .+\.$", first_line), first_line


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("deepcrl.core.types", "from deepcrl.core import registry"),
        ("deepcrl.core.losses.infonce", "from deepcrl.core.agents.crl import CRL"),
        ("deepcrl.core.agents.crl", "from deepcrl.nets.mlp import MLP"),
        ("deepcrl.core.agents.crl", "def f():\n    from deepcrl.kernels import dispatch"),
        ("deepcrl.nets.mlp", "from deepcrl.envs.make import make_envs"),
        ("deepcrl.kernels.dispatch", "from deepcrl.nets.mlp import MLP"),
        ("deepcrl.envs.tasks.ant", "def f():\n    from deepcrl.training.config import RunConfig"),
        ("deepcrl.training.loop", "from deepcrl.core.losses.infonce import infonce"),
        ("deepcrl.training.build", "from deepcrl.run.directory import RunDir"),
        ("deepcrl.run.recorder", "from deepcrl.report.read import read"),
        ("deepcrl.run.recorder", "from deepcrl.cli.hydra.errors import fail"),
        ("deepcrl.run.recorder", 'def f():\n    importlib.import_module("deepcrl.cli.play")'),
        ("deepcrl.run.recorder", "import hydra"),
        ("deepcrl.cli.play", "def f():\n    from omegaconf import DictConfig"),
        ("deepcrl.run.plots.curves", "import matplotlib.pyplot as plt"),
        ("deepcrl.run.plots.curves", "class A:\n    import matplotlib"),
        ("deepcrl.kernels.dispatch", "from deepcrl.kernels.triton import trunk"),
        ("deepcrl.kernels.dispatch", "try:\n    import triton\nexcept ImportError:\n    triton = None"),
    ],
)
def test_the_test_sees_what_is_forbidden(module: str, source: str) -> None:
    assert refused(module, ast.parse(source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("deepcrl.run.plots.curves", "def f():\n    import matplotlib"),
        ("deepcrl.run.plots.curves", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import matplotlib"),
        ("deepcrl.core.losses.dpo", "from deepcrl.core.losses.infonce import infonce"),
        ("deepcrl.nets.mlp", "from deepcrl.kernels import dispatch"),
        ("deepcrl.run.environment", "from deepcrl.version import __version__"),
        ("deepcrl.cli.hydra.schema", "from hydra.core.config_store import ConfigStore"),
    ],
)
def test_the_test_lets_pass_what_is_allowed(module: str, source: str) -> None:
    assert not refused(module, ast.parse(source))


@pytest.mark.parametrize(
    ("sources", "circular"),
    [
        ({"a": "import b", "b": "import c", "c": "import d", "d": ""}, ""),
        ({"a": "import b", "b": "def f():\n    import c", "c": "from a import x"}, "abc"),
        ({"a": "import b", "b": "if TYPE_CHECKING:\n    import a"}, ""),
        ({"p": "from p.m import x", "p.m": "from p.n import y", "p.n": ""}, ""),
        ({"p": "from p.m import x", "p.m": "from p import x"}, ["p", "p.m"]),
        ({"p": "import a", "p.m": "", "a": "from p.m import x"}, ["p", "a"]),  # p.m needs p to run first
    ],
)
def test_the_test_sees_circles(sources: dict[str, str], circular: Iterable[str]) -> None:
    assert circles({module: ast.parse(source) for module, source in sources.items()}).keys() == set(circular)


def test_the_test_counts_files() -> None:
    many = [f"{number}.py" for number in range(MAX_FILES)]
    assert crowded(PACKAGE / "run" / name for name in (*many, "__init__.py")) == {}
    assert crowded(PACKAGE / "run" / name for name in (*many, "more.py")) == {PACKAGE / "run": MAX_FILES + 1}
    assert crowded(PACKAGE / "nets" / name for name in (*many, "more.py")) == {}


def test_there_is_something_to_look_at() -> None:
    modules = set(map(module_of, FILES))
    assert modules >= ALLOWED.keys()
    assert ALLOWED.keys() >= {".".join(module.split(".")[:2]) for module in modules}, "each room has a rule"
    assert all(folder.is_dir() for folder in ONE_COMPONENT_PER_FILE)
