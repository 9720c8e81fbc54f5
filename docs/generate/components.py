"""Every component with its settings, as Markdown: `python -m docs.generate.components > docs/reference.md`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from deepcrl.core.components import REGISTRIES, discover
from deepcrl.core.registry import Registry


def markdown() -> str:
    """Returns docs/reference.md. Names of one class that differ in their defaults alone share a section."""
    discover()
    lines = ["# Components", "", "Made by `python -m docs.generate.components`; do not edit.", ""]
    lines += ["`group=NAME` chooses one, `group.SETTING=VALUE` sets its settings; `deepcrl list` shows the same.", ""]
    for kind, registry in REGISTRIES.items():
        lines += [f"## {kind.capitalize()}", ""]
        if len(registry.groups) > 1:
            lines += [f"Chosen by {', '.join(f'`{group}=`' for group in registry.groups)}.", ""]
        for names in _families(registry):
            lines += _section(registry, names)
    return "\n".join(lines)


def _families(registry: Registry) -> list[list[str]]:
    """The names of each object that deepcrl registers, plugins left out."""
    families: dict[Callable[..., Any], list[str]] = {}
    for name in registry:
        if registry[name].__module__.startswith("deepcrl."):
            families.setdefault(registry[name], []).append(name)
    return list(families.values())


def _section(registry: Registry, names: list[str]) -> list[str]:
    first, *others = names
    defaults = registry.defaults(first)
    summary = (inspect.getdoc(registry[first]) or "").split("\n\n")[0]
    lines = [f"### `{registry.kind}={first}`", "", " ".join(summary.split()), ""]
    hints = get_type_hints(registry.schema(first))
    fields = [field.name for field in dataclasses.fields(registry.schema(first)) if field.name != "name"]
    if fields:
        lines += ["| setting | type | default |", "|---|---|---|"]
        lines += [f"| `{registry.kind}.{f}` | {_type(hints[f])} | `{defaults[f]!r}` |" for f in fields]
        lines.append("")
    if others:
        lines += ["Also, with other defaults: " + ", ".join(_variant(registry, name, defaults) for name in others), ""]
    return lines


def _variant(registry: Registry, name: str, usual: dict[str, Any]) -> str:
    own = registry.defaults(name).items()
    differs = ", ".join(f"{key}={value}" for key, value in own if key != "name" and value != usual[key])
    return f"`{name}` ({differs})" if differs else f"`{name}`"


def _type(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint) if isinstance(hint, type) else hint).replace("|", "or")


if __name__ == "__main__":
    print(markdown(), end="")
