"""A replay buffer for histories larger than memory: the ring's columns as memory-mapped files in the run directory."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.components import BUFFERS
from deepcrl.core.states import check_count
from deepcrl.core.types import Batch

FOLDER, CHECKSUM = "ring", "checksum"


@BUFFERS.register("disk_ring")
class DiskRing(Ring):
    """The `ring` in sparse files of the run directory: data on disk, 8 bytes of bookkeeping per step in memory.

    With the same seed it gives the same batches as a ring in the CPU's memory. A checkpoint holds none of the data.
    Instead the files have spare rows, so that the steps of every kept checkpoint are still there when a run is killed
    at any moment, and each row has a CRC-32, by which a checkpoint knows its rows again, and that they are whole. The
    bookkeeping is then made anew from the trajectory ids.

    Rows are written through the file system and read through the memory map: so a full disk is an error that leaves
    the checkpoints as they are, where a write through the map would kill the process.
    """

    def __init__(
        self,
        inputs: BufferInputs,
        *,
        capacity: int = 100_000,
        random_goals: float = 0.0,
        commanded_goals: float = 0.0,
        repeat: int = 1,
    ) -> None:
        """The hyperparameters are those of `ring`. Raises ValueError for a value out of range."""
        self._batch_device, self._folder = inputs.device, inputs.run_dir / FOLDER
        if inputs.device.type != "meta":
            on_cpu = torch.Generator().manual_seed(inputs.generator.initial_seed())
            inputs = replace(inputs, device=torch.device("cpu"), generator=on_cpu)
        super().__init__(
            inputs, capacity=capacity, random_goals=random_goals, commanded_goals=commanded_goals, repeat=repeat
        )
        self._layout[CHECKSUM] = ((), torch.int64)

    def _count_rows(self, inputs: BufferInputs) -> int:
        return self.capacity + inputs.max_unsaved_steps

    def _make_columns(self) -> dict[str, Tensor]:
        return {}  # files are made when the first step comes in, or found when a checkpoint is loaded

    @property
    def nbytes(self) -> int:
        """Bytes of memory: the bookkeeping. What is mapped is the system's to keep or to drop."""
        return self._books_nbytes

    @property
    def disk_nbytes(self) -> int:
        """Bytes that the files still have to grow by until the ring is full."""
        # st_blocks counts 512 bytes; a sparse file has fewer of them than its length says
        taken = sum(path.stat().st_blocks * 512 for path in map(self._path, self._layout) if path.exists())
        return max(0, sum(map(self._file_nbytes, self._layout)) - taken)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.bin"

    @property
    def _row_layout(self) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """What a row holds beside its checksum."""
        return {name: layout for name, layout in self._layout.items() if name != CHECKSUM}

    def _row_nbytes(self, name: str) -> int:
        shape, dtype = self._layout[name]
        return math.prod(shape) * dtype.itemsize

    def _file_nbytes(self, name: str) -> int:
        return self._num_rows * self._row_nbytes(name)

    def _create(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in self._layout:
            with _named(self._path(name)), open(self._path(name), "wb") as file:
                file.truncate(self._file_nbytes(name))

    def _map(self) -> None:
        """Maps the files, which must be there in full length."""
        for name, (shape, dtype) in self._layout.items():
            size = (self._num_rows, *shape)
            flat = torch.from_file(str(self._path(name)), shared=True, size=math.prod(size), dtype=dtype)
            self._columns[name] = flat.view(size)

    def _write(self, row: int, values: dict[str, Tensor]) -> None:
        if not self._columns:
            self._create()
            self._map()
        self._check_lengths()
        stored = {name: values[name].to("cpu", dtype).contiguous() for name, (_, dtype) in self._row_layout.items()}
        stored[CHECKSUM] = torch.tensor(_checksum(stored.values()))
        for name, value in stored.items():
            with _named(self._path(name)), open(self._path(name), "r+b") as file:
                file.seek(row * self._row_nbytes(name))
                file.write(value.numpy().data)

    def sample(self, batch_size: int) -> Batch:
        """Draws B transitions as the ring does, and moves them to the training device."""
        self._check_lengths()
        batch = super().sample(batch_size)
        moved = {field.name: getattr(batch, field.name).to(self._batch_device) for field in fields(batch)}
        return type(batch)(**moved)

    def _check_lengths(self) -> None:
        """Raises OSError if a file was cut: what is read of it through the map would kill the process."""
        for name in self._columns:
            with _named(self._path(name)):
                size, needed = self._path(name).stat().st_size, self._file_nbytes(name)
                if size < needed:
                    raise OSError(f"it was cut to {size} of its {needed} bytes")

    def state_dict(self) -> dict[str, Any]:
        """Returns counters, checksums [L] and the random generator, once the files are safe on the disk."""
        for path in map(self._path, self._columns):
            with _named(path), open(path, "r+b") as file:
                os.fsync(file.fileno())
        return {
            "num_rows": self._num_rows,
            "num_steps": self.num_steps,
            "checksums": self._checksums(self.num_steps),
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from the files. Raises ValueError, in one line, if they do not hold the steps of this state."""
        num_rows, num_steps = state["num_rows"], state["num_steps"]
        check_count("num_rows", num_rows)
        check_count("num_steps", num_steps)
        if num_rows < self._num_rows:
            spare, needed = num_rows - self.capacity, self._num_rows - self.capacity
            raise ValueError(
                f"checkpoint_every x keep_checkpoints needs {needed} spare rows, but {self._folder} has {spare}"
            )
        self._make_books(num_rows)
        if num_steps:
            self._find_rows(num_steps, state["checksums"])
        self._first_step = self.num_steps = max(0, num_steps - self.capacity)
        self._newest_step.fill_(self.num_steps - 1)
        for row in self._rows(num_steps).tolist():
            self._note(self._columns["traj_id"][row])
        self._generator.set_state(state["generator"])

    def _find_rows(self, num_steps: int, checksums: Tensor) -> None:
        """Maps the files after checking that their newest rows, when `num_steps` were stored, have these checksums."""
        for name in self._layout:
            path, size = self._path(name), self._file_nbytes(name)
            if not path.exists() or path.stat().st_size != size:
                raise ValueError(f"{path} is missing or has not the {size} bytes that belong to this checkpoint")
        self._map()
        if not torch.equal(self._checksums(num_steps), checksums):
            raise ValueError(f"{self._folder} no longer holds this checkpoint's steps: the run has gone on too far")
        for row, checksum in zip(self._rows(num_steps).tolist(), checksums.tolist(), strict=True):
            if _checksum(self._columns[name][row] for name in self._row_layout) != checksum:
                raise ValueError(f"{self._folder} is damaged: row {row} is not what was written there")

    def _checksums(self, num_steps: int) -> Tensor:
        """Returns those of the newest rows when `num_steps` were stored, oldest first."""
        rows = self._rows(num_steps)
        return self._columns[CHECKSUM][rows] if len(rows) else torch.zeros(0, dtype=torch.int64)


def _checksum(values: Iterable[Tensor]) -> int:
    """Returns the CRC-32 of what a row holds."""
    checksum = 0
    for value in values:
        checksum = zlib.crc32(value.numpy().data, checksum)
    return checksum


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Gives an OSError one line that says which file the system refused, and why."""
    try:
        yield
    except OSError as error:
        raise OSError(f"Cannot write to {path}: {error.strerror or error}") from error
