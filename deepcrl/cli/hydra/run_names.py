"""Names of a sweep's run directories, from what varies: `energy=norm,loss=infonce`. Short, flat, unique, and readable.

Flat: one folder below the sweep, whatever a value is. Unique: a value that cannot be a folder's name as it stands is
cut and ends in a digest of the whole. Plain characters only, so that shells, globs and `rsync` take them as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

RESOLVER = "deepcrl_run_name"
NOTHING_VARIES = "run"
MAX_VALUE_BYTES, MAX_NAME_BYTES = 48, 160
DIGEST_LENGTH = 6


def register() -> None:
    """Makes `${deepcrl_run_name:OVERRIDES,FIXED_KEYS}` known to the configs of this process."""
    OmegaConf.register_new_resolver(RESOLVER, run_name, replace=True)


def run_name(overrides: Iterable[str], fixed_keys: Iterable[str]) -> str:
    """Returns the folder's name of the run with these overrides; those of `fixed_keys` are all runs' and left out."""
    fixed, varied = set(fixed_keys), []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.key_or_group in fixed:
            continue
        text = override.value()
        given = text if isinstance(text, str) else (override.input_line or "").partition("=")[2] or "null"
        varied.append(f"{override.key_or_group.replace('/', '.')}={_folder_safe(given)}")
    return _shortened(",".join(sorted(varied)), MAX_NAME_BYTES) or NOTHING_VARIES


def _folder_safe(value: str) -> str:
    safe = re.sub(r"[^\w.+-]+", "-", value)
    short = safe if safe == value else f"{safe.strip('-')}-{_digest(value)}"
    return short if len(short.encode()) <= MAX_VALUE_BYTES else _cut(safe.strip("-"), MAX_VALUE_BYTES, _digest(value))


def _shortened(name: str, limit: int) -> str:
    return name if len(name.encode()) <= limit else _cut(name, limit, _digest(name))


def _cut(text: str, limit: int, digest: str) -> str:
    kept = text.encode()[: limit - len(digest) - 1].decode(errors="ignore")
    return f"{kept.rstrip('-')}-{digest}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
