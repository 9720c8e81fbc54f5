"""Mistakes in a user's own components: one line that names kind, name and file, then the frames that are the user's."""

from __future__ import annotations

import inspect
import itertools
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from deepcrl.core.components import REGISTRIES
from deepcrl.core.contract.build import origin
from deepcrl.core.contract.first_call import ContractError

MAX_FRAMES = 20
"""Of the user's, the innermost ones: endless recursion has a thousand."""
MAX_OTHER_FRAMES = 3
"""Shown of an error that passed through none of the user's."""
HINT = "(DEEPCRL_DEBUG=1 shows the whole traceback)"
_INSTALLED = {
    Path(__file__).parents[1],
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
}


def plugin_fault(error: BaseException | None, *, foreseen: bool) -> str | None:
    """Returns what to say of an error that a component of the user's raised; None if it cannot be one's fault.

    A ValueError that a constructor raised speaks of a setting, and is not one. An error that passed through no code of
    the user's, such as one of PyTorch's about a gradient, is said to have come up with the components that there are,
    unless it is `foreseen`, as a mistake in a setting is.
    """
    owners = [(origin(registry, name), registry[name]) for registry in REGISTRIES.values() for name in registry]
    owners = [(where, obj) for where, obj in owners if where]
    if not owners or error is None or isinstance(error, ContractError):
        return None
    walked = list(traceback.walk_tb(error.__traceback__))
    roots = [root for owner in owners if (root := _root(owner))]
    inside = list(itertools.dropwhile(lambda step: not _is_below(_file_of(step), roots), walked))
    theirs = [step for step in inside if _is_below(_file_of(step), roots) or not _is_installed(_file_of(step))]
    found = _owner([frame for frame, _ in theirs], owners)
    what = re.sub(r"\s*\n\s*", " ", f"{type(error).__name__}: {error}").strip().removesuffix(":")
    if not found and foreseen:
        return None
    if not found:
        line = f"{what} (with {', '.join(where for where, _ in owners)}) {HINT}"
        return f"{line}\n{_formatted(walked[-MAX_OTHER_FRAMES:])}"
    if isinstance(error, ValueError) and theirs[-1][0].f_code.co_name == "__init__":
        return None
    return f"{found}: {what} {HINT}\n{_formatted(theirs[-MAX_FRAMES:])}"


def _file_of(step: tuple[FrameType, int]) -> str:
    return step[0].f_code.co_filename


def _is_installed(file: str) -> bool:
    return file.startswith("<frozen") or _is_below(file, _INSTALLED)


def _is_below(file: str, roots: Iterable[Path]) -> bool:
    return any(Path(file).is_relative_to(root) for root in roots)


def _root(owner: tuple[str, Any]) -> Path | None:
    """The file of a component's module, or the folder of its package."""
    name = owner[1].__module__.partition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    if not file:
        return None
    return Path(file).parent if hasattr(sys.modules[name], "__path__") else Path(file)


def _owner(frames: list[FrameType], owners: list[tuple[str, Any]]) -> str:
    """Returns the innermost component whose code runs in `frames`, or those in a helper's file; "" if there is none."""
    for runs in (_runs, _is_in_file):
        for frame in reversed(frames):
            if found := [where for where, obj in owners if _is_in_file(frame, obj) and runs(frame, obj)]:
                return " or ".join(found)
    return ""


def _is_in_file(frame: FrameType, obj: Any) -> bool:
    return getattr(sys.modules.get(obj.__module__), "__file__", None) == frame.f_code.co_filename


def _runs(frame: FrameType, obj: Any) -> bool:
    if inspect.isclass(obj):
        return f"{frame.f_code.co_qualname}.".startswith(f"{obj.__qualname__}.") or isinstance(
            frame.f_locals.get("self"), obj
        )
    return getattr(inspect.unwrap(obj), "__code__", None) is frame.f_code


def _formatted(steps: list[tuple[FrameType, int]]) -> str:
    return "".join(traceback.StackSummary.extract(iter(steps)).format()).rstrip()
