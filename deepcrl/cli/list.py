"""`deepcrl list [KIND]`: every registered component, with its hyperparameters, types and defaults."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from typing import Any, get_type_hints

from deepcrl.cli.hydra.errors import fail, user_errors
from deepcrl.core.checks import suggest
from deepcrl.core.components import REGISTRIES, discover
from deepcrl.core.registry import Registry

INDENT, WIDTH = 18, 100
AROUND = ("deepcrl", "envs", "tasks", "task")
"""Parts of a module's name that say nothing of its family."""
SINGULAR = {registry.kind: kind for kind, registry in REGISTRIES.items()}
"""`deepcrl list env` is `deepcrl list envs`."""


def main(arguments: list[str]) -> None:
    """Prints the kinds of components, or the components of one kind."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: deepcrl list [{'|'.join(REGISTRIES)}]")
        return
    with user_errors():
        discover()
    if not arguments:
        print("\n".join(overview()))
        return
    kinds = [SINGULAR.get(word, word) for word in arguments]
    for kind in kinds:  # all of them first: an error below pages of answers is not seen
        if kind not in REGISTRIES:
            fail(suggest("kind", kind, REGISTRIES))
    for kind in kinds:
        print("\n".join(describe(REGISTRIES[kind])))


def overview() -> list[str]:
    """Returns the kinds and their names, a line or a few each; of environments a line for each family."""
    lines = []
    for kind, registry in REGISTRIES.items():
        if kind == "envs":
            lines += [f"{kind:<{INDENT}}{len(registry)} in families; `deepcrl list envs` says what each is"]
            for family, names in families(registry).items():
                lines += _wrapped(f"  {family}", names)
        else:
            lines += _wrapped(kind, list(registry))
    return lines


def families(registry: Registry) -> dict[str, list[str]]:
    """Returns the names of components by the module that they are from, which is one family of environments."""
    found: dict[str, list[str]] = {}
    for name in registry:
        parts = [part for part in registry[name].__module__.split(".") if part not in AROUND]
        found.setdefault(parts[0] if parts else name, []).append(name)
    return found


def _wrapped(title: str, names: list[str]) -> list[str]:
    return textwrap.wrap(
        f"{title:<{INDENT}}{', '.join(names)}",
        WIDTH,
        subsequent_indent=" " * INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def describe(registry: Registry) -> list[str]:
    """Returns the lines that show each component: name, first line of its docstring, hyperparameters."""
    lines = []
    for name in registry:
        lines.append(f"{registry.kind}={name}")
        summary = inspect.getdoc(registry[name])
        lines.append(f"    {summary.splitlines()[0]}" if summary else "    (no docstring)")
        schema: Any = registry.schema(name)
        hints, default = get_type_hints(schema), schema()
        for item in dataclasses.fields(schema):
            if item.name != "name":
                kind = getattr(hints[item.name], "__name__", str(hints[item.name]))
                lines.append(f"    {registry.kind}.{item.name}: {kind} = {getattr(default, item.name)!r}")
    return lines
