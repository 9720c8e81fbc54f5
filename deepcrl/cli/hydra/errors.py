"""Errors that a user can correct: one line on stderr and exit status 2. `DEEPCRL_DEBUG=1` shows the traceback."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from deepcrl.cli.hydra.compose import CONFIGS_DIR
from deepcrl.cli.plugin_fault import plugin_fault
from deepcrl.core.checks import printable, suggest
from deepcrl.core.components import REGISTRIES
from deepcrl.core.contract.first_call import ContractError
from deepcrl.core.files import user_path
from deepcrl.core.types import EnvError
from deepcrl.run.checkpoint import CheckpointError
from deepcrl.run.recorder import RecordError
from deepcrl.run.start import StartError
from deepcrl.training.loop import NonFiniteError


class UserError(Exception):
    """An error that the user can correct; the message is one line."""


MAX_WORD = 300
"""Characters of a word that a message repeats: a value may be of any length."""
MAX_OWNERS = 3
"""How many options that do have an unknown setting are named in the message about it."""
USER_ERRORS = (
    *(UserError, StartError, CheckpointError, ContractError, EnvError, NonFiniteError, RecordError),
    *(HydraException, OmegaConfBaseException),
)


def fail(message: str) -> NoReturn:
    """Prints `message` as an error, its longest words cut, and exits with status 2."""
    cut = re.sub(rf"\S{{{MAX_WORD + 1},}}", lambda word: f"{word[0][:MAX_WORD]}...", message)
    print("deepcrl:", "\n".join(map(printable, cut.splitlines())), file=sys.stderr)
    raise SystemExit(2)


class ArgumentParser(argparse.ArgumentParser):
    """Answers a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        fail(printable(f"{message} ({self.prog} --help shows the usage)"))


def int_at_least(minimum: int) -> Callable[[str], int]:
    """Returns an argparse type: a whole number of at least `minimum`."""

    def number(text: str) -> int:
        if not re.fullmatch(r"-?\d+", text) or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"a whole number of at least {minimum} is needed, got {text!r}")
        return int(text)

    return number


def given_path(text: str) -> Path:
    """An argparse type: a path, `~` expanded; an empty one is a shell variable that is not set, not this folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} names nothing: give a path (is a shell variable not set?)")
    return user_path(text)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns ValueError and OSError into UserError: before the first step they concern what the user set."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, BrokenPipeError):  # `one_line` words two; see core/pipes.py
        raise
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns errors that the user can correct into one line and exit status 2."""
    try:
        yield
    except BrokenPipeError:  # see core/pipes.py
        raise
    except Exception as error:
        told = fault_of_a_plugin(error)
        if os.environ.get("DEEPCRL_DEBUG") or not (told or isinstance(error, USER_ERRORS)):
            raise
        fail(told or one_line(error))


def fault_of_a_plugin(error: Exception) -> str | None:
    """Returns what to say if a user's component is at fault, also behind an error that the user can correct."""
    foreseen = isinstance(error, USER_ERRORS)
    return plugin_fault(error.__cause__ if foreseen else error, foreseen=foreseen)


def one_line(error: BaseException) -> str:
    """Returns what went wrong in one line, with the nearest good name. Messages of Hydra and OmegaConf are reworded."""
    line = re.sub(r"\s*\n\s*", " ", _reworded(error)).strip()
    return line if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: {line}"


def _reworded(error: BaseException) -> str:
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        top, _, rest = error.missing_cfg_file.partition("/")
        if top in ("experiment", "sweep"):  # which have folders, of whose files Hydra does not speak
            files = (CONFIGS_DIR / top).rglob("*.yaml")
            nested = {path.relative_to(CONFIGS_DIR / top).with_suffix("").as_posix() for path in files}
            return suggest(top, rest, sorted(nested.union(error.options)))
        group, _, name = error.missing_cfg_file.rpartition("/")
        return suggest(group, name, error.options)
    if isinstance(error, OverrideParseException):
        return f"Cannot read the override {error.override!r}; an override is KEY=VALUE, such as encoder.depth=16"
    ambiguous = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error))
    if ambiguous:
        return f"{ambiguous[1].lstrip('+')} names several values: add -m to run each of them"
    cause = (error.__cause__ or error.__context__) if isinstance(error, HydraException) else error
    place = re.match(r"In '((?:experiment|sweep)/.+?)':", str(error))
    where = f"{place[1]}: " if place else ""
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return where + _unknown_key(cause)
    if isinstance(cause, InterpolationResolutionError):
        return f"{cause.full_key}: {str(cause).splitlines()[0]}"
    merged = re.match(r"Error merging override \+*(\S+?)=", str(error))
    if merged and cause is not None:
        return f"{merged[1]}: {str(cause).splitlines()[0]}"
    return str(error)


def _unknown_key(error: ConfigKeyError | ConfigAttributeError) -> str:
    """Returns the message for a key that the schema does not have: `nmu_envs` of the run, or `dpeth` of `encoder`."""
    parent, key = error.parent_node, str(error.key)
    known = [str(name) for name in parent if name not in ("name", "hydra")] if isinstance(parent, DictConfig) else []
    if not error.full_key or error.full_key == key:
        return suggest("setting", key, known)
    group = str(error.full_key).rpartition(".")[0]
    if group == "learners":
        return f"{suggest('learner', key, known or ['none'])} (a + adds one: +learners.{key}.encoder.depth=4)"
    name = parent.get("name") if isinstance(parent, DictConfig) else None
    of = f"{group}={name}" if name and not group.startswith("hydra") else group
    owners = [f"{group}={owner}" for owner in _options_with_setting(group, key)[:MAX_OWNERS]]
    unknown = suggest(f"setting of {of}:", key, known) if known else f"Unknown setting of {of}: {key!r}, which has none"
    return unknown + (f" ({key} belongs to {', '.join(owners)})" if owners else "")


def _options_with_setting(group: str, key: str) -> list[str]:
    """Returns the options of `group` that have the hyperparameter `key`."""
    registries = [registry for registry in REGISTRIES.values() if group in registry.groups]
    return [name for registry in registries for name in registry if key in registry.defaults(name)]
