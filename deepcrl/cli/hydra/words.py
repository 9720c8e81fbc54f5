"""Settings as they are written on the command line, and its errors as exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from deepcrl.cli.hydra import overrides as hydra_overrides
from deepcrl.cli.hydra.errors import one_line


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns what Hydra says of a setting into a ValueError of one line."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(one_line(error)) from error


def checked(words: tuple[str, ...]) -> list[str]:
    """Returns settings, KEY=VALUE, as Hydra will read them. Raises ValueError for what is none."""
    if not words:
        return []
    for word in words:
        if word.startswith("-") or "=" not in word:
            raise ValueError(f"{word!r} is no setting: give KEY=VALUE, such as 'encoder.depth=16'")
    hydra_overrides.check([*words])
    return hydra_overrides.translate_ids([*words])
