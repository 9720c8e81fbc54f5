"""The ring on disk against the ring in memory: same seed, same batches, also after a kill and a resume."""

from __future__ import annotations

import dataclasses
import io
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from deepcrl.core.buffers.disk_ring import DiskRing
from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.relabel import uniform_future
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.types import EnvSpec, Observation, Step

SPEC = EnvSpec(state_dim=3, action_dim=2, goal_indices=(0, 2))
CPU = torch.device("cpu")
NUM_ENVS, CAPACITY, SPARE = 3, 12, 5
MIXED = {"random_goals": 0.3, "commanded_goals": 0.3}
EVERYTHING = [(False, {}), (True, {}), (True, MIXED)]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    """Builds a ring of a kind for the run directory `tmp_path`."""

    def build(kind: type[Ring], transitions: bool = False, device: torch.device = CPU, **changes: Any) -> Any:
        changes = {"capacity": CAPACITY, "spare": SPARE, "num_envs": NUM_ENVS} | changes
        generator = torch.Generator().manual_seed(4)
        num_envs, spare = changes.pop("num_envs"), changes.pop("spare")
        inputs = BufferInputs(SPEC, num_envs, device, generator, uniform_future, transitions, tmp_path, spare)
        return kind(inputs, **changes)

    return build


def steps(num: int, seed: int = 0) -> Iterator[tuple[Observation, torch.Tensor, Step]]:
    """Yields random steps of episodes that end at random, as a ring takes them."""
    generator = torch.Generator().manual_seed(seed)
    traj_id = torch.zeros(NUM_ENVS, dtype=torch.int64)
    for _ in range(num):
        state, next_state = torch.randn(2, NUM_ENVS, 3, generator=generator)
        action, goal = torch.randn(2, NUM_ENVS, 2, generator=generator)
        terminated, truncated = torch.rand(2, NUM_ENVS, generator=generator) < 0.1
        zeros = torch.zeros(NUM_ENVS)
        step = Step(Observation(state, goal), next_state, zeros, zeros > 0, terminated, truncated, traj_id)
        yield step.observation, action, step
        traj_id = traj_id + (terminated | truncated)


def insert(ring: Ring, first: int, last: int, seed: int = 0) -> None:
    for step in list(steps(last, seed))[first:]:
        ring.insert(*step)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(("transitions", "shares"), EVERYTHING)
def test_the_same_batches_as_in_memory(make, same, transitions: bool, shares: dict[str, float]) -> None:
    ring, disk = make(Ring, transitions, **shares), make(DiskRing, transitions, **shares)
    for i, step in enumerate(steps(60)):
        ring.insert(*step)
        disk.insert(*step)
        if i > 2:
            same(ring.sample(50), disk.sample(50))


@pytest.mark.parametrize(("transitions", "shares"), EVERYTHING)
@pytest.mark.parametrize("saved_at", [0, 5, CAPACITY, 17, 40])
@pytest.mark.parametrize("unsaved", [0, 1, SPARE])
def test_a_killed_run_goes_on_exactly(
    make, same, transitions: bool, shares: dict[str, float], saved_at: int, unsaved: int
) -> None:
    """What was inserted after the save is on disk when the process dies; nothing of the old object is used again."""
    straight, killed = make(Ring, transitions, **shares), make(DiskRing, transitions, **shares)
    insert(straight, 0, saved_at)
    insert(killed, 0, saved_at)
    if saved_at:
        same(straight.sample(20), killed.sample(20))
    state = through_a_file(killed.state_dict())
    insert(killed, saved_at, saved_at + unsaved, seed=1)
    resumed = make(DiskRing, transitions, **shares)
    resumed.load_state_dict(state)
    for first in range(saved_at, saved_at + 30, 5):
        insert(straight, first, first + 5)
        insert(resumed, first, first + 5)
        same(straight.sample(50), resumed.sample(50))


def test_a_save_holds_no_data(make) -> None:
    disk = make(DiskRing, True)
    insert(disk, 0, 40)
    state = disk.state_dict()
    del state["generator"]
    assert sum(value.nbytes for value in state.values() if isinstance(value, torch.Tensor)) == 8 * CAPACITY


def test_the_files_are_sparse_and_the_memory_holds_the_books_only(make, tmp_path: Path) -> None:
    disk = make(DiskRing, capacity=100_000)
    assert list(tmp_path.iterdir()) == []
    row = NUM_ENVS * (4 * 5 + 4) + 8
    assert disk.disk_nbytes == row * (100_000 + SPARE)
    insert(disk, 0, 10)
    files = list((tmp_path / "ring").iterdir())
    assert sum(file.stat().st_size for file in files) == row * (100_000 + SPARE)
    taken = sum(file.stat().st_blocks * 512 for file in files)
    assert 0 < taken < 100_000
    assert disk.disk_nbytes == row * (100_000 + SPARE) - taken
    assert disk.nbytes == pytest.approx(NUM_ENVS * 100_000 * 8 + 8 * 100_000, rel=1e-2)


def test_knows_its_size_without_memory_or_files(make, tmp_path: Path) -> None:
    disk = make(DiskRing, device=torch.device("meta"), num_envs=512, capacity=1_000_000)
    assert disk.nbytes == pytest.approx(512 * 1_000_000 * 8, rel=1e-2)
    assert disk.disk_nbytes == pytest.approx(512 * 1_000_000 * 24, rel=1e-2)
    assert list(tmp_path.iterdir()) == []


def saved(make, at: int = 20) -> tuple[Any, dict[str, Any]]:
    disk = make(DiskRing)
    insert(disk, 0, at)
    return disk, disk.state_dict()


def refusal(make, state: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
        make(DiskRing, **changes).load_state_dict(state)
    return str(raised.value)


def test_refuses_a_checkpoint_whose_rows_are_overwritten(make) -> None:
    disk, state = saved(make)
    insert(disk, 20, 20 + SPARE)
    make(DiskRing).load_state_dict(state)
    insert(disk, 20 + SPARE, 20 + SPARE + 1)
    assert refusal(make, state).endswith("no longer holds this checkpoint's steps: the run has gone on too far")


def test_refuses_a_checkpoint_of_another_course(make) -> None:
    disk, older = saved(make)
    insert(disk, 20, 22)
    newer = disk.state_dict()
    back = make(DiskRing)
    back.load_state_dict(older)
    insert(back, 20, 22)
    make(DiskRing).load_state_dict(newer)  # the same course again
    back = make(DiskRing)
    back.load_state_dict(older)
    insert(back, 20, 22, seed=1)
    assert "no longer holds this checkpoint's steps" in refusal(make, newer)


def test_refuses_files_that_are_gone_or_cut(make, tmp_path: Path) -> None:
    _, state = saved(make)
    path = tmp_path / "ring" / "state.bin"
    with open(path, "r+b") as file:
        file.truncate(100)
    size = NUM_ENVS * 12 * (CAPACITY + SPARE)
    message = f"{path} is missing or has not the {size} bytes that belong to this checkpoint"
    assert refusal(make, state) == message
    path.unlink()
    assert refusal(make, state) == message


@pytest.mark.parametrize("name", ["state", "action", "traj_id", "next_achieved", "terminated", "commanded"])
def test_refuses_a_row_that_is_not_what_was_written(make, same, tmp_path: Path, name: str) -> None:
    disk = make(DiskRing, True, **MIXED)
    insert(disk, 0, 8)
    state = through_a_file(disk.state_dict())
    path = tmp_path / "ring" / f"{name}.bin"
    content = bytearray(path.read_bytes())
    row_nbytes = len(content) // (CAPACITY + SPARE)
    content[3 * row_nbytes] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{tmp_path / 'ring'} is damaged: row 3 is not what was written there$"):
        make(DiskRing, True, **MIXED).load_state_dict(state)
    content[3 * row_nbytes] ^= 1
    content[9 * row_nbytes] ^= 1  # of a row that is still to be written
    path.write_bytes(content)
    resumed = make(DiskRing, True, **MIXED)
    resumed.load_state_dict(state)
    insert(disk, 8, 12)
    insert(resumed, 8, 12)
    same(resumed.sample(50), disk.sample(50))


@pytest.mark.parametrize("use", [lambda disk: disk.sample(4), lambda disk: insert(disk, 8, 9)], ids=["draws", "stores"])
def test_a_file_that_is_cut_meanwhile_is_one_line(make, tmp_path: Path, use: Callable[[Any], object]) -> None:
    disk, _ = saved(make, at=8)
    path = tmp_path / "ring" / "action.bin"
    with open(path, "r+b") as file:
        file.truncate(9)
    size = NUM_ENVS * 8 * (CAPACITY + SPARE)
    with pytest.raises(OSError, match=rf"^Cannot write to {path}: it was cut to 9 of its {size} bytes$"):
        use(disk)  # reading would be a SIGBUS
    path.unlink()
    with pytest.raises(OSError, match=rf"^Cannot write to {path}: No such file or directory$"):
        use(disk)


def test_fewer_saves_need_a_ring_made_for_it(make, tmp_path: Path) -> None:
    _, state = saved(make)
    make(DiskRing, spare=SPARE - 1).load_state_dict(state)
    assert refusal(make, state, spare=SPARE + 1) == (
        f"checkpoint_every x keep_checkpoints needs 6 spare rows, but {tmp_path / 'ring'} has 5"
    )


def test_a_disk_that_refuses_is_one_line_and_the_save_stays_good(make, same) -> None:
    disk, state = saved(make, at=8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9 * NUM_ENVS * 12, hard))
    try:
        with pytest.raises(OSError, match=r"^Cannot write to \S+/ring/state.bin: File too large$"):
            insert(disk, 8, 12)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resumed, straight = make(DiskRing), make(Ring)
    resumed.load_state_dict(state)
    insert(resumed, 8, 12)
    insert(straight, 0, 12)
    same(resumed.sample(50), straight.sample(50))


def test_a_batch_goes_where_the_training_is(make) -> None:
    disk = make(DiskRing, True)
    insert(disk, 0, 8)
    disk._batch_device = torch.device("meta")  # the only other device that every machine has
    batch = disk.sample(4)
    assert {getattr(batch, field.name).device.type for field in dataclasses.fields(batch)} == {"meta"}


def test_refuses_what_the_ring_refuses(make) -> None:
    with pytest.raises(ValueError, match="buffer.capacity must be at least 2 steps per environment, got 1"):
        make(DiskRing, capacity=1)
