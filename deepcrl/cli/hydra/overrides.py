"""The arguments of `deepcrl train`: checked before Hydra reads them, and rewritten in Hydra's syntax."""

from __future__ import annotations

import re
import shlex
import sys
from itertools import zip_longest
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, RangeSweep
from hydra.errors import HydraException, OverrideParseException

from deepcrl.cli.hydra.paths import NEEDED, hydra_string, plain
from deepcrl.core.checks import suggest
from deepcrl.core.components import AGENTS, REGISTRIES
from deepcrl.core.settings import split_key
from deepcrl.envs.source_ids import translate
from deepcrl.run.hints import setting
from deepcrl.training.config import GROUPS, OPTIONAL_GROUPS

SWEEP_FLAGS = ("-m", "--multirun")
FLAGS = (
    *("-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "--resolve", "-p", "--package", "-r", "--run"),
    *(*SWEEP_FLAGS, "-sc", "--shell-completion", "-cp", "--config-path", "-cn", "--config-name", "-cd", "--config-dir"),
    *("--experimental-rerun", "-i", "--info"),
)

TAKE_A_VALUE = (
    "--experimental-rerun",
    "-c",
    "--cfg",
    "-p",
    "--package",
    "-cp",
    "--config-path",
    "-cn",
    "--config-name",
    "-cd",
    "--config-dir",
)
MAX_DIGITS = 1000
"""Of a value: beyond, Python would not read a number, and no setting needs one."""
INFO = ("-i", "--info")
CHOICES = {
    **dict.fromkeys(("-c", "--cfg"), ("job", "hydra", "all")),
    **dict.fromkeys(INFO, ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")),
}
"""Of flags."""


def split(override: str) -> tuple[str, str]:
    """Returns key and value of `key=value`; `+`, `++` and `~` before the key are dropped."""
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def check(arguments: list[str]) -> None:
    """Raises ValueError, in one line, for arguments that Hydra would misread or answer with a traceback."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        key, value = split(argument)
        if argument.startswith("-"):
            _check_flag(key, value or following)
        elif not key:
            raise ValueError(f"Cannot read the override {argument!r}; an override is KEY=VALUE, such as seed=3")
        elif key in NEEDED and "=" in argument and not plain(value).strip():
            raise ValueError(f"{key}= names no folder: give a path, or leave it out (is a shell variable not set?)")
        elif key in GROUPS and (value == "null" or argument.startswith("~")):
            raise ValueError(f"{argument}: a run needs a choice of {key}, see `deepcrl list`")
        elif len(re.findall(r"\d", value)) > MAX_DIGITS:
            raise ValueError(f"{key}={value[:20]}... is a number of {len(value):,} digits, far too large")
        elif problem := _unreadable(argument):
            raise ValueError(problem)
        elif key == "hydra":
            raise ValueError(f"{argument}: hydra is chosen part by part: hydra/launcher=NAME, hydra.sweep.dir=FOLDER")
        elif (key in (*GROUPS, *OPTIONAL_GROUPS, "experiment") or "/" in key) and _is_no_name(argument):
            where = ", see `deepcrl list`" if key in (*GROUPS, *OPTIONAL_GROUPS) else ""
            raise ValueError(f"{argument}: {key} is chosen by name{where}")
        elif key in OPTIONAL_GROUPS and is_sweep(arguments) and "null" in value.split(","):
            raise ValueError(f"{argument}: a sweep goes over names; run {key}=null by itself")
        elif key == "sweep" and "," in value:
            raise ValueError(f"{argument}: one sweep at a time; its settings can be swept beside it")
        elif key == "sweep" and value != "null" and not is_sweep(arguments):
            raise ValueError(f"{argument} names several runs: add -m to run each of them")
        elif key == "run_dir" and is_sweep(arguments):
            where = setting("hydra.sweep.dir", plain(value))
            raise ValueError(f"run_dir={plain(value)} is the directory of one run; for a sweep use {where}")
        elif key == "resume" and is_sweep(arguments):
            raise ValueError("resume= goes on with one run, and a sweep makes its own; leave out -m, or resume=")
    if is_sweep(arguments):
        _check_sweep_values(arguments)


def translate_ids(arguments: list[str]) -> list[str]:
    """Replaces ids of scaling-crl and JaxGCRL by the names here, and says so on stderr."""
    translated = []
    for argument in arguments:
        new = _translate_ids(argument) if argument.startswith(("env=", "eval_env=")) else [argument]
        if new != [argument]:
            print(f"deepcrl: {argument} is {' '.join(new)} here, see docs/environments.md", file=sys.stderr)
        translated += new
    return translated


def _translate_ids(argument: str) -> list[str]:
    key, names = split(argument)
    envs = [translate(name) for name in names.split(",")]
    extras = [f"{key}.{extra}={value}" for env in envs for extra, value in env.items() if extra != "name"]
    if extras and len(envs) > 1:
        raise ValueError(f"{argument}: {extras[0]} is a single run's; sweep over {split(extras[0])[0]} instead")
    return [f"{key}={','.join(env['name'] for env in envs)}", *extras]


def _check_sweep_values(arguments: list[str]) -> None:
    """Raises ValueError for a range or a glob without values: Hydra would start no run and print nothing."""
    for override in OverridesParser.create().parse_overrides(list(filter(_is_override, arguments))):
        value = override.value()
        names = [
            name for registry in REGISTRIES.values() if override.key_or_group in registry.groups for name in registry
        ]
        if isinstance(value, RangeSweep):
            empty = not any(True for _ in override.sweep_iterator())
        else:
            empty = isinstance(value, Glob) and bool(names) and not value.filter(names)
        if empty:
            raise ValueError(f"{override.input_line} names no value, so the sweep would have no run")


def _check_flag(flag: str, value: str) -> None:
    if flag not in FLAGS:
        raise ValueError(suggest("flag", flag, FLAGS))
    if flag in TAKE_A_VALUE and not value:
        raise ValueError(f"{flag} needs a value")
    if flag == "--experimental-rerun" and not Path(value).is_file():
        raise ValueError(f"{flag}: there is no file {value}")
    choices, is_left_out = CHOICES.get(flag, ()), flag in INFO and (not value or re.search("^-|=", value))
    if choices and value not in choices and not is_left_out:
        raise ValueError(suggest(f"choice of {flag}", value, choices))


def _unreadable(argument: str) -> str:
    """Returns the message for a character that Hydra cannot read outside of quotes; "" where there is none."""
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException as error:
        if "token recognition" not in str(error):
            return ""  # said when Hydra reads it
    else:
        return ""
    key, value = split(argument)
    names = [name for registry in REGISTRIES.values() if key in registry.groups for name in registry]
    if names:
        return suggest(key, value, names)
    quoted = shlex.quote(f"{key}={hydra_string(value)}")
    return f"Cannot read the override {argument!r}; quote its value for Hydra: {quoted}"


def warn_of_repeated(arguments: list[str]) -> None:
    """Says on stderr which settings are given more than once, and what counts."""
    given: dict[str, list[str]] = {}
    for argument in filter(_is_override, arguments):
        given.setdefault(split(argument)[0], []).append(argument)
    for key, all_ in given.items():
        if len(all_) > 1:
            print(f"deepcrl: {key} is given {len(all_)} times; {all_[-1]} counts", file=sys.stderr)


def _is_no_name(override: str) -> bool:
    """Whether Hydra reads the value as a number, a bool, a dict or a list: 3, 1e3, true, {a:1}."""
    try:
        return isinstance(OverridesParser.create().parse_override(override).value(), bool | int | float | dict | list)
    except OverrideParseException:
        return False  # Hydra reports it


def check_used(agent: str, overrides: list[str]) -> None:
    """Raises ValueError for an override of a group that has no effect on the agent of that name."""
    unused = getattr(AGENTS[agent], "unused_groups", ())
    for override in overrides:
        group = split_key(split(override)[0])[0]
        if group in unused:
            raise ValueError(f"{override} has no effect: agent={agent} uses no {group}; leave it out")


def to_hydra_syntax(arguments: list[str]) -> list[str]:
    """Rewrites two kinds of overrides, keys of a dict and groups set to null, and a flag.

    `env.kwargs.x=1` becomes `++env.kwargs.x=1`, since the schema does not list a dict's keys. `sa_encoder=null` becomes
    `~sa_encoder`, Hydra's syntax for a group without an option. `--info` alone becomes `--info=all`.
    """
    dicts, nulls = _dict_prefixes(), [f"{group}=null" for group in OPTIONAL_GROUPS]
    arguments = [f"++{argument}" if argument.startswith(dicts) else argument for argument in arguments]
    arguments = [f"~{split(argument)[0]}" if argument in nulls else argument for argument in arguments]
    return [
        f"{word}=all" if word in INFO and after not in CHOICES[word] else word
        for word, after in zip_longest(arguments, arguments[1:])
    ]


def _dict_prefixes() -> tuple[str, ...]:
    """Returns how overrides of dict hyperparameters begin: `env.kwargs.` or `env.kwargs={`."""
    keys = {
        f"{group}.{key}"
        for registry in REGISTRIES.values()
        for name in registry
        for key, default in registry.defaults(name).items()
        if isinstance(default, dict)
        for group in registry.groups
    }
    return tuple(key + rest for key in keys for rest in (".", "={"))


def is_sweep(arguments: list[str]) -> bool:
    return any(flag in arguments for flag in SWEEP_FLAGS)


def setting_of_unchosen_group(arguments: list[str]) -> str:
    """Returns the message for an override of an optional group without a component; "" if there is none."""
    for argument in arguments:
        key, _ = split(argument)
        group, setting = split_key(key)
        if setting and group in OPTIONAL_GROUPS:
            return f"{key} has nothing to set: choose {group}=NAME first, beside {argument}"
    return ""


def name_runs_by_swept_settings(arguments: list[str]) -> list[str]:
    """Returns the override that leaves settings which all runs share out of the names of their directories."""
    given = [argument for argument in arguments if _is_override(argument) and not argument.startswith("hydra")]
    last = {override.key_or_group: override for override in OverridesParser.create().parse_overrides(given)}
    fixed = [key for key, override in last.items() if not override.is_sweep_override()]
    return [f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]"]


def flags_first(arguments: list[str]) -> list[str]:
    """Moves the overrides to the end: Hydra would not read `seed=0,1 -m loss=infonce`."""
    return sorted(arguments, key=_is_override)


def _is_override(argument: str) -> bool:
    return not argument.startswith("-") and ("=" in argument or argument.startswith("~"))
