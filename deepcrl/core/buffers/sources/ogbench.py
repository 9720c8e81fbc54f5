"""OGBench's layout (Park et al. 2025; facts: ogbench/utils.py): arrays of all trajectories, one after the other."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from deepcrl.core.buffers.sources.trajectories import Trajectories, check, flags
from deepcrl.core.types import EnvSpec

KEYS = ("observations", "actions", "terminals")
# What `zipfile` and numpy raise for bytes that are damaged, encrypted, or compressed in a way that they do not know
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
)


class OGBenchFile:
    """`observations` [T, S], `actions` [T, A] and `terminals` [T], which is 1 at the last state of each trajectory.

    What else a file holds (qpos, qvel, button_states) is not read. No episode in this layout ends by itself.
    """

    says_terminations = False

    def __init__(self, path: Path) -> None:
        """Reads the sizes, not the data. Raises ValueError, in one line, for another layout."""
        self._path = path
        shapes = _shapes(path)
        missing = [key for key in KEYS if key not in shapes]
        if missing:
            raise ValueError(
                f"buffer.path={path} lacks {', '.join(missing)}; it has {', '.join(sorted(shapes)) or 'nothing'}, "
                f"and OGBench's layout has {', '.join(KEYS)}"
            )
        states, actions, terminals = (shapes[key] for key in KEYS)
        if (len(states), len(actions), len(terminals)) != (2, 2, 1) or len(
            {s[0] for s in (states, actions, terminals)}
        ) > 1:
            raise ValueError(
                f"buffer.path={path} has observations, actions, terminals of shapes {states}, {actions}, {terminals}, "
                "not [T, S], [T, A], [T]"
            )
        self.num_states, self.state_dims, self.action_dim = states[0], (states[1],), actions[1]

    def read(self, spec: EnvSpec) -> Trajectories:
        """Reads the arrays; see `Source`."""
        try:
            with np.load(self._path) as file:
                state, action, terminals = (np.asarray(file[key], np.float32) for key in KEYS)
        except _DAMAGED as error:
            raise ValueError(f"buffer.path={self._path} cannot be read: {' '.join(str(error).split())}") from error
        last = flags(terminals, f"buffer.path={self._path} has terminals")
        if not last.any():
            raise ValueError(f"buffer.path={self._path} has terminals that are all 0: no trajectory ends")
        last[-1] = True
        return check(Trajectories(state, action, last, np.zeros_like(last)), str(self._path))


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each array in an `.npz`, from the headers alone."""
    if not path.is_file():
        raise ValueError(f"buffer.path: there is no file {path}")
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    shapes[name.removesuffix(".npy")] = read_header[np.lib.format.read_magic(file)](file)[0]
    except _DAMAGED as error:
        raise ValueError(f"buffer.path={path} is not a whole .npz file: {' '.join(str(error).split())}") from error
    return shapes
