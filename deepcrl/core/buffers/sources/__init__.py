"""Where the trajectories of a dataset come from, one layout per file. May import only `core`."""

from __future__ import annotations

from pathlib import Path

from deepcrl.core.buffers.sources.minari_source import MinariSource
from deepcrl.core.buffers.sources.ogbench import OGBenchFile
from deepcrl.core.buffers.sources.trajectories import LAYOUTS, Source


def open_source(path: str) -> Source:
    """Returns the source that `buffer.path` names; ValueError, in one line, if there is none of such a layout."""
    if not path:
        raise ValueError(f"buffer.path is empty; it names {LAYOUTS}")
    source = OGBenchFile(Path(path)) if path.endswith(".npz") else MinariSource(path)
    if source.num_states == 0:
        raise ValueError(f"buffer.path={path} is empty: it has no states")
    return source
