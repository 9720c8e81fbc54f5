"""Checkpoints: complete, atomic, versioned, verified, and loaded without executing code.

A checkpoint is a directory `step_<env steps>_<gradient steps>` that holds `state.pt` and `meta.json` (format version,
SHA-256 of the state, counters). It is written under a temporary name, read back, and renamed when it is whole, so a
crash or a full disk leaves the earlier ones as they were. What is atomic is the renaming of the directory, so the files
in it are written plainly. The state carries the id of its run: one of another run is not taken for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deepcrl.core import state_file
from deepcrl.core.state_file import StateError
from deepcrl.run.directory import CHECKPOINTS
from deepcrl.run.environment import ENVIRONMENT, run_id_of
from deepcrl.run.hints import setting
from deepcrl.run.metrics import Mark
from deepcrl.training.schedule import counter_of

FORMAT_VERSION = 1
_STATE, _META = "state.pt", "meta.json"
_WRITING = ".writing_"
_ASIDE = "aside_"
_NAME = re.compile(r"step_\d+_\d+")


class CheckpointError(ValueError):
    """A checkpoint cannot be written or used; the message is one line."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of a run. Its content is read, and verified, when it is first asked for; its name says the counters.

    Reading raises CheckpointError for a checkpoint that is missing, truncated, altered, of another format version, or
    that would run code.
    """

    path: Path

    @property
    def run_dir(self) -> Path:
        return self.path.parent.parent

    @property
    def env_steps(self) -> int:
        return self._counters[0]

    @property
    def grad_steps(self) -> int:
        return self._counters[1]

    @property
    def counter(self) -> str:
        """What the run is counted in: `env_steps` or `grad_steps`."""
        return counter_of([{"env_steps": self.env_steps, "grad_steps": self.grad_steps}])

    @property
    def steps(self) -> int:
        """Steps taken until the checkpoint, of the kind that the run is counted in."""
        return {"env_steps": self.env_steps, "grad_steps": self.grad_steps}[self.counter]

    @property
    def config(self) -> dict[str, Any]:
        """The settings of the run, as `RunConfig.to_dict` gives them."""
        return self._part("config")

    @property
    def state(self) -> dict[str, Any]:
        """The state of the run, as `Run.state_dict` gives it, on the CPU."""
        return self._part("run")

    @property
    def run_id(self) -> str | None:
        """The id of the run that saved it; None if it is older than these ids."""
        return self.content.get("run_id")

    @cached_property
    def content(self) -> dict[str, Any]:
        """All that was saved: `config`, `git` (the code's revision) and `run`, the state."""
        return _read(self.path)

    @property
    def rows(self) -> Mark | None:
        """The rows of metrics until then; None if it is older than these marks."""
        num_rows, sha256 = self.content.get("num_rows"), self.content.get("rows_sha256")
        return Mark(num_rows, sha256) if type(num_rows) is int and isinstance(sha256, str) else None

    def _part(self, name: str) -> dict[str, Any]:
        part = self.content.get(name)
        if not isinstance(part, dict):
            raise CheckpointError(f"Checkpoint {self.path} holds no {name}: it is none of a run")
        return part

    @property
    def _counters(self) -> tuple[int, int]:
        _, env_steps, grad_steps = self.path.name.removeprefix(_ASIDE).split("_")
        return int(env_steps), int(grad_steps)


def save(directory: Path, content: dict[str, Any], *, env_steps: int, grad_steps: int, keep: int) -> Checkpoint:
    """Writes a checkpoint of `content` (tensors and plain values) and removes all but the `keep` newest.

    Raises CheckpointError if the disk refuses, or if `content` could not be read back; nothing older is touched then.
    """
    path, num_rows = directory / f"step_{env_steps:013d}_{grad_steps:011d}", content.get("num_rows")
    if path.exists() and _num_rows(path) in (None, num_rows):  # just saved, or just resumed from
        return Checkpoint(path)
    # One from before the evaluation at this step gives way, under a name that sorts before the new one's
    replaced = directory / f"step_{env_steps:013d}_{grad_steps:012d}"
    temporary = directory / f"{_WRITING}{path.name}"
    try:
        for left_by_a_killed_process in directory.glob(f"{_WRITING}*"):
            _remove(left_by_a_killed_process)
        temporary.mkdir(parents=True)
        state_file.write(temporary / _STATE, content)
        meta = {"format_version": FORMAT_VERSION, "sha256": _digest(temporary / _STATE)}
        meta |= {"env_steps": env_steps, "grad_steps": grad_steps, "num_rows": num_rows}
        (temporary / _META).write_text(json.dumps(meta, indent=2))
        for file in (_STATE, _META):
            _sync(temporary / file)
        if path.exists():
            os.rename(path, replaced)
        os.rename(temporary, path)
        _sync(directory)
    except (OSError, RuntimeError, StateError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error.__context__, KeyboardInterrupt):  # torch's answer to a second Ctrl-C
            raise error.__context__ from None
        kept = list_checkpoints(directory)
        anew = f"There is no earlier one: {setting('resume', directory.parent)} starts anew"
        raise CheckpointError(
            f"Could not save checkpoint {path}: {_reason(error)}. "
            + (f"Go on from the last whole one with {setting('resume', kept[-1].path)}" if kept else anew)
        ) from error
    try:
        if replaced.exists():
            _remove(replaced.rename(directory / f"{_WRITING}{replaced.name}"))
        for old in list_checkpoints(directory)[:-keep]:
            # Under another name first: killed half-way, what is left must not pass for a checkpoint
            _remove(old.path.rename(directory / f"{_WRITING}{old.path.name}"))
    except OSError as error:
        raise CheckpointError(f"Saved {path}, but older ones cannot be removed: {_reason(error)}") from error
    return Checkpoint(path)


def _num_rows(path: Path) -> int | None:
    """Returns how many rows of metrics there were at a checkpoint, None if its meta.json does not say."""
    try:
        return json.loads((path / _META).read_text()).get("num_rows")
    except (OSError, ValueError, AttributeError):
        return None


def _remove(path: Path) -> None:
    """Removes what is there; of a symbolic link only the link, for what it points to is kept elsewhere on purpose."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


def _reason(error: BaseException) -> str:
    """Says in a few words why a file could not be written. torch wraps the disk's answer in a RuntimeError."""
    disk = error if isinstance(error, OSError) else error.__context__
    if isinstance(disk, OSError) and disk.strerror:
        return disk.strerror
    return " ".join(str(error).split()) or type(error).__name__


def list_checkpoints(directory: Path) -> list[Checkpoint]:
    """Returns the whole checkpoints in `directory`, oldest first."""
    return [Checkpoint(path) for path in _named(directory) if path.is_dir()]


def _named(directory: Path) -> list[Path]:
    """Returns what has the name of a checkpoint, oldest first, be it a file or a link that leads nowhere."""
    return [path for path in sorted(directory.glob("step_*")) if _NAME.fullmatch(path.name)]


def set_aside_after(checkpoint: Checkpoint) -> list[Checkpoint]:
    """Renames the checkpoints newer than the one that a run is resumed from, and returns them under their new names.

    Left where they are, they would count as the newest ones, also against those that are still to be saved; and what
    has such a name and is none would be in the way.
    """
    moved = []
    for newer in _named(checkpoint.path.parent):
        if newer.name > checkpoint.path.name.removeprefix(_ASIDE):
            aside = newer.with_name(f"{_ASIDE}{newer.name}")
            if aside.is_symlink() or aside.exists():
                _remove(aside)
            moved.append(Checkpoint(newer.rename(aside)))
    return moved


def find(where: str | Path) -> Checkpoint:
    """Returns the checkpoint that `where` names: itself, in full, or the newest of the run directory `where`.

    Raises CheckpointError if there is none.
    """
    where = Path(where)
    if not where.exists():
        raise CheckpointError(f"There is no checkpoint to read: {where} does not exist")
    if _is_checkpoint(where):
        return Checkpoint(Path(os.path.abspath(where)))
    found = list_checkpoints(where / CHECKPOINTS)
    if not found:
        raise CheckpointError(
            f"There is no checkpoint to read: {where} holds none (before its first one, resume= starts a run anew)"
        )
    return found[-1]


def run_dir_of(where: Path) -> Path:
    """Returns the run directory that `where` is, or is a checkpoint of."""
    # In full: the parent of a name as it is typed inside the run directory is `.`, and so is the parent of that
    return Path(os.path.abspath(where)).parent.parent if _is_checkpoint(where) else where


def _is_checkpoint(where: Path) -> bool:
    name = os.path.basename(os.path.abspath(where)).removeprefix(_ASIDE)
    return _NAME.fullmatch(name) is not None and not (where / CHECKPOINTS).is_dir()


def _read(path: Path) -> dict[str, Any]:
    """Reads the checkpoint at `path`, on the CPU, after checking its version and its digest."""
    try:
        if not (path / _META).is_file():  # a pipe would never end
            raise FileNotFoundError(path / _META)
        meta = json.loads((path / _META).read_text())
        version, sha256 = meta["format_version"], meta["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"Checkpoint {path} has no readable {_META}{_alternative(path)}") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"Checkpoint {path} has format version {version}; this deepcrl reads version {FORMAT_VERSION}"
        )
    try:
        if not (path / _STATE).is_file() or _digest(path / _STATE) != sha256:
            raise CheckpointError(f"Checkpoint {path} is truncated or corrupted (SHA-256 differs){_alternative(path)}")
        content = state_file.read(path / _STATE)
    except StateError as error:  # a file with a matching digest that is none of ours
        raise CheckpointError(f"Checkpoint {path} {error}: refused") from error
    except OSError as error:
        raise CheckpointError(f"Checkpoint {path} cannot be read: {_reason(error)}{_alternative(path)}") from error
    saved, own = content.get("run_id"), run_id_of(path.parent.parent)
    if saved and own and saved != own:
        raise CheckpointError(
            f"Checkpoint {path} is of another run: {saved}, and {path.parent.parent / ENVIRONMENT} says {own}"
            f"{_alternative(path)}"
        )
    return content


@contextlib.contextmanager
def fitting(where: Path) -> Iterator[None]:
    """Wraps the loading of a state that was read from `where`.

    Raises CheckpointError, in one line, if it does not fit: the code or the settings have changed since.
    """
    try:
        yield
    except OSError:  # the disk's answer, not the state's
        raise
    except Exception as error:  # a state may hold anything, so loading it may raise anything
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2]) or type(error).__name__
        reason = f"it lacks {reason}" if isinstance(error, KeyError) else reason
        raise CheckpointError(f"{where} does not fit this code or these settings: {reason}") from error


def _alternative(path: Path) -> str:
    others = [other.path for other in list_checkpoints(path.parent) if other.path != path]
    return f"; try {setting('resume', others[-1])}" if others else ""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Forces `path` to the disk; for directories only where the file system allows it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
