"""What the page shows of a configuration besides numbers: a film, and pictures of what its critic has learned."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deepcrl.report.check import UNBUILDABLE, names_module
from deepcrl.report.groups import Group
from deepcrl.report.numbers import rounded
from deepcrl.report.pictures.maps import maps
from deepcrl.report.read import lies_within
from deepcrl.report.sizes import sizes
from deepcrl.run.checkpoint import find, list_checkpoints
from deepcrl.run.directory import RunDir

MAX_FILM_BYTES = 6_000_000
"""Films beyond this sum are linked instead of embedded, so that a page with many runs still opens at once."""
BYTES_PER_WEIGHT = 4
MAX_MAPPED = 8
"""Configurations whose checkpoint is looked into: each takes an episode."""


class Films:
    """One film per group, embedded as long as the page stays small."""

    def __init__(self, page_dir: Path) -> None:
        self._page_dir, self._left = page_dir, MAX_FILM_BYTES

    def of(self, group: Group) -> dict[str, str] | None:
        gifs = [(run, gif) for run in group.runs for gif in run.gifs()[-1:]]
        if not gifs:
            return None
        run, gif = gifs[0]
        name = f"{group.label}, seed {run.seed}"
        if gif.stat().st_size > self._left:
            # Quoted, a folder's `:`, `?` or `#` is part of a relative path, never a scheme such as `javascript:`
            return {"name": name, "link": quote(Path(os.path.relpath(gif, self._page_dir)).as_posix())}
        self._left -= gif.stat().st_size
        return {"name": name, "data": "data:image/gif;base64," + base64.b64encode(gif.read_bytes()).decode()}


class Maps:
    """What the newest checkpoint of a group's first run shows, of the first `limit` groups that have one."""

    def __init__(self, limit: int) -> None:
        self._limit, self._left, self._refused, self._failed = limit, limit, 0, []

    def of(self, group: Group) -> dict[str, Any]:
        run = group.runs[0]
        checkpoints = list_checkpoints(RunDir(run.path).checkpoints_dir)
        if not self._limit or run.learner or not checkpoints:
            return {}
        if not self._left:
            self._refused += 1
            return {}
        self._left -= 1
        try:
            newest = checkpoints[-1].path
            if not all(lies_within(path, run.path) for path in (newest, *newest.iterdir())):
                raise ValueError("its checkpoints are links that lead out of the run")
            checkpoint = find(run.path)
            if names_module(checkpoint.config):
                raise ValueError("its env.id names a module, which a report does not import")
            size = sizes(checkpoint.config)
            if size and BYTES_PER_WEIGHT * size.parameters > sum(p.stat().st_size for p in newest.iterdir()):
                raise ValueError("its settings are of larger networks than it holds")
            return rounded(maps(checkpoint))
        except UNBUILDABLE as error:
            self._failed.append(f"{run.path}: no value map, {' '.join(str(error).split())}")
            return {}

    def notes(self) -> list[str]:
        more = f"{self._refused} more configurations have checkpoints; value maps are drawn of {self._limit}"
        return [*self._failed, *([more] if self._refused else [])]


@dataclass(frozen=True, slots=True)
class Pictures:
    films: Films
    maps: Maps
