"""`deepcrl list [KIND]`: every registered component, with its hyperparameters, types and defaults."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, get_type_hints

from deepcrl.cli.hydra.errors import fail, user_errors
from deepcrl.core.checks import suggest
from deepcrl.core.components import REGISTRIES, discover
from deepcrl.core.registry import Registry


def main(arguments: list[str]) -> None:
    """Prints the kinds of components, or the components of one kind."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: deepcrl list [{'|'.join(REGISTRIES)}]")
        return
    with user_errors():
        discover()
    if not arguments:
        for kind, registry in REGISTRIES.items():
            print(f"{kind:<10}{', '.join(registry)}")
        return
    for kind in arguments:  # all of them first: an error below pages of answers is not seen
        if kind not in REGISTRIES:
            fail(suggest("kind", kind, REGISTRIES))
    for kind in arguments:
        print("\n".join(describe(REGISTRIES[kind])))


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
