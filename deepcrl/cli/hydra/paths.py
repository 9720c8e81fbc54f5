"""Settings that are paths: taken as they are typed, with `~` expanded, and quoted for Hydra here."""

from __future__ import annotations

import os
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import OverrideParseException

PATHS = (
    *("resume", "run_dir", "buffer.path", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"),
    *("hydra.launcher.submitit_folder", "hydra.launcher.temp_folder"),
)
NEEDED = ("resume", "run_dir", "hydra.sweep.dir")
"""Paths that cannot be empty: that is a variable of the shell which is not set, and would mean another run."""
DIR_FLAGS = ("-cd", "--config-dir", "-cp", "--config-path")
_SWEEP_FUNCTION = re.compile(r"(choice|glob|range|shuffle|sort|tag)\(.*\)")


def quoted(arguments: list[str], *, sweep: bool) -> list[str]:
    """Returns the arguments with every path expanded and, where Hydra would read its characters, quoted.

    In a sweep, commas separate the values of `buffer.path`, and Hydra's functions (`choice(...)`) stay as they are.
    """
    done: list[str] = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag in DIR_FLAGS and equals:
            done.append(f"{flag}={os.path.expanduser(value)}")
        elif done and done[-1] in DIR_FLAGS:
            done.append(os.path.expanduser(argument))
        else:
            done.append(_quoted(argument, sweep=sweep))
    return done


def _quoted(argument: str, *, sweep: bool) -> str:
    key, _, value = argument.partition("=")
    if key.lstrip("+") not in PATHS or not value:
        return argument
    several = sweep and key.lstrip("+") == "buffer.path"
    if several and _SWEEP_FUNCTION.fullmatch(value):
        return argument
    values = re.findall(r"(?:'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"|[^,])+", value) if several else [value]
    return f"{key}={','.join(hydra_string(plain(one)) for one in values)}"


def plain(value: str) -> str:
    """Returns the path that a value of the command line means: without Hydra's quotes, with `~` expanded."""
    if value[:1] in ("'", '"'):
        try:
            read = OverridesParser.create().parse_override(f"path={value}").value()
            value = read if isinstance(read, str) else value
        except OverrideParseException:
            pass  # a name that begins with a quote
    return os.path.expanduser(value)


def hydra_string(text: str) -> str:
    """Returns the text as Hydra's quoted string, whatever is in it; as it is where it needs no quotes."""
    if re.fullmatch(r"[A-Za-z_./][\w./-]*", text, re.ASCII) and text.lower() not in ("null", "true", "false"):
        return text
    return QuotedString(text, Quote.single).with_quotes()


def hydra_value(value: object) -> str:
    """Returns a plain value in Hydra's syntax: text quoted where it must be, lists and dicts entry by entry."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return hydra_string(value.replace("${", "\\${"))
    if isinstance(value, list | tuple):
        return f"[{','.join(map(hydra_value, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{hydra_string(str(key))}:{hydra_value(entry)}' for key, entry in value.items())}}}"
    return repr(value)
