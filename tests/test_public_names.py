"""What users type stays: commands, flags, settings, components, their hyperparameters with types and defaults, configs.

`data/public_names.txt` was written by `public_names` before the files moved to their present rooms. A name may be added
at any time; one that is removed, or has another type or default, is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import io
import re
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

from deepcrl.cli import VERBS, bench, saved_run
from deepcrl.cli.hydra import overrides
from deepcrl.cli.hydra.compose import CONFIGS_DIR, compose_values
from deepcrl.core.components import REGISTRIES
from deepcrl.core.registry import Registry
from deepcrl.training.config import GROUPS, OPTIONAL_GROUPS, RunConfig

BEFORE = Path(__file__).parent / "data" / "public_names.txt"


def public_names() -> Iterator[tuple[str, str]]:
    """Yields each name and what goes with it: a type and a default, or nothing."""
    for verb in VERBS:
        yield f"deepcrl {verb}", ""
        yield from ((f"deepcrl {verb} {flag}", "") for flag in flags(verb))
    yield from ((f"deepcrl bench {name}", "") for name in bench.NAMES)
    yield from ((f"deepcrl list {kind}", "") for kind in REGISTRIES)
    yield from ((f"deepcrl eval {setting}=", "") for setting in saved_run.OVERRIDABLE)
    yield from ((f"deepcrl play policy=random {setting}=", "") for setting in saved_run.WITHOUT_A_RUN)
    for item, default in zip(dataclasses.fields(RunConfig), dataclasses.astuple(RunConfig()), strict=True):
        yield item.name, f"{item.type} = {default!r}"
    for registry in REGISTRIES.values():
        for name in registry:
            yield from component(registry, name)
    for group, chosen in compose_values([]).items():
        if group in (*GROUPS, *OPTIONAL_GROUPS):
            yield f"deepcrl train without {group}=", chosen["name"] if chosen else "null"
    yield from ((str(path.relative_to(CONFIGS_DIR)), "") for path in CONFIGS_DIR.rglob("*.yaml"))
    ids = [name for name in gymnasium.registry if name.startswith("deepcrl/")]
    yield from ((f"gymnasium.make({name})", "") for name in ids)


def component(registry: Registry, name: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{group}={name}", "") for group in registry.groups)
    yield from ((f"{registry.kind}={name} {group}=", option) for group, option in registry.choices[name].items())
    default = registry.schema(name)()
    for item in dataclasses.fields(default):
        if item.name != "name":
            kind = inspect.formatannotation(item.type)
            yield f"{registry.kind}={name} {registry.kind}.{item.name}", f"{kind} = {getattr(default, item.name)!r}"


def flags(verb: str) -> list[str]:
    """Returns the flags that `deepcrl VERB --help` lists; of `train`, which is Hydra's, those that it takes."""
    if verb == "train":
        return list(overrides.FLAGS)
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        importlib.import_module(f"deepcrl.cli.{verb}").main(["--help"])
    listed = re.findall(r"^  (-.+?)(?:  .*)?$", text.getvalue(), re.MULTILINE)
    return [alias.split()[0] for line in listed for alias in line.split(", ")]


def to_lines(names: Iterator[tuple[str, str]]) -> list[str]:
    return sorted({f"{name}: {value}".removesuffix(": ") for name, value in names})


def differences(before: list[str], now: list[str]) -> dict[str, list[str]]:
    """Returns which lines were removed, changed (as they are now) and added."""
    old, new = ({line.partition(": ")[0]: line for line in lines} for lines in (before, now))
    return {
        "removed": [old[name] for name in old if name not in new],
        "changed": [new[name] for name in old if name in new and old[name] != new[name]],
        "added": [new[name] for name in new if name not in old],
    }


def test_no_public_name_is_removed_or_changed() -> None:
    found = differences(BEFORE.read_text().splitlines(), to_lines(public_names()))
    assert not found["removed"], found
    assert not found["changed"], found


@pytest.mark.parametrize(
    ("now", "kind", "lines"),
    [
        (["seed: int = 0", "env=ant"], "removed", ["loss=infonce"]),
        (["seed: int = 1", "env=ant", "loss=infonce"], "changed", ["seed: int = 1"]),
        (["seed: float = 0", "env=ant", "loss=infonce"], "changed", ["seed: float = 0"]),
        (["seed: int = 0", "env=ant", "env=car", "loss=infonce"], "added", ["env=car"]),
    ],
)
def test_a_difference_is_seen(now: list[str], kind: str, lines: list[str]) -> None:
    nothing: dict[str, list[str]] = {"removed": [], "changed": [], "added": []}
    assert differences(["seed: int = 0", "env=ant", "loss=infonce"], now) == nothing | {kind: lines}
