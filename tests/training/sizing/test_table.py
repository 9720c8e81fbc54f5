"""What a run will take, known before it is built."""

from __future__ import annotations

import dataclasses
import io

import pytest
import torch
from rich.console import Console

from deepcrl.run.console import print_table
from deepcrl.training.build import build_run, env_spec
from deepcrl.training.sizing.counts import AgentSizes
from deepcrl.training.sizing.table import Preflight, format_bytes, preflight

CPU = torch.device("cpu")


def sizes_of(config) -> Preflight:
    return preflight(config, env_spec(config), CPU)


def test_is_what_the_run_will_have(tiny) -> None:
    config = tiny(sa_encoder={"name": "residual_mlp", "depth": 8, "width": 32})
    sizes, run = sizes_of(config), build_run(config)
    assert sizes.ring_bytes == run.buffer.nbytes
    for name, network in run.agent.networks.items():
        assert sizes.parameters[name] == sum(p.numel() for p in network.parameters())
    assert sizes.network_bytes == 16 * sum(sizes.parameters.values())
    assert sizes.schedule == run.schedule


@pytest.mark.parametrize(
    ("changes", "lower"),
    [
        ({"buffer": {"name": "ring", "capacity": 10_000_000}, "num_envs": 200}, "lower buffer.capacity or num_envs"),
        (
            {"encoder": {"name": "residual_mlp", "depth": 1024, "width": 65536}},
            "lower encoder.depth, encoder.width or agent",
        ),
        ({"batch_size": 10_000_000}, "lower batch_size, or set encoder.checkpoint_blocks"),
    ],
)
def test_too_large_is_known_without_taking_memory(tiny, changes, lower: str) -> None:
    sizes = dataclasses.replace(sizes_of(tiny(total_env_steps=10**9, **changes)), available_bytes=2**34)
    with pytest.raises(ValueError, match=f"Not enough memory: .* of 16.0 GiB available; {lower}") as raised:
        sizes.check()
    assert "\n" not in str(raised.value)


def test_what_fits_passes(tiny) -> None:
    sizes = sizes_of(tiny())
    sizes.check()
    dataclasses.replace(sizes, available_bytes=sizes.total_bytes).check()
    with pytest.raises(ValueError, match="Not enough memory"):
        dataclasses.replace(sizes, available_bytes=sizes.total_bytes - 1).check()


def test_a_ring_on_disk_takes_disk_and_says_so(tiny) -> None:
    memory, disk = (sizes_of(tiny(buffer={"name": name, "capacity": 1000})) for name in ("ring", "disk_ring"))
    assert (memory.disk_bytes, memory.rows()[-1][0]) == (0, "")
    spare_rows = 2 * 5 * 5  # two checkpoints, five unrolls of five steps between them
    assert disk.disk_bytes == (1000 + spare_rows) * (4 * 4 * (4 + 2 + 1) + 8)
    assert disk.ring_bytes < memory.ring_bytes / 2
    assert disk.rows()[-1] == ("disk", "0.1 MiB", "ring")
    disk.check()
    dataclasses.replace(disk, free_disk_bytes=disk.disk_bytes).check()
    with pytest.raises(
        ValueError, match="^Not enough disk space: the ring takes 0.1 MiB in run_dir, of 0.1 MiB free; "
    ):
        dataclasses.replace(disk, free_disk_bytes=disk.disk_bytes - 1).check()


def test_an_offline_run_says_what_it_does(tiny, dataset: str) -> None:
    config = tiny(buffer={"name": "dataset", "path": dataset}, total_grad_steps=40)
    sizes, run = sizes_of(config), build_run(config)
    assert sizes.ring_bytes == run.buffer.nbytes > 0
    assert sizes.rows()[0] == ("gradient steps", "40", "10 rounds of 4, all from the dataset")
    assert "dataset" in {row[2] for row in sizes.rows()}
    with pytest.raises(ValueError, match="the dataset 931.3 GiB, .* lower the number of trajectories$"):
        dataclasses.replace(sizes, ring_bytes=10**12, available_bytes=1).check()


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_fits_and_its_numbers_stand_under_each_other(tiny, width: int) -> None:
    config = tiny(
        total_env_steps=100_000_000, num_envs=512, unroll_length=62, buffer={"name": "ring", "capacity": 1000}
    )
    agents = AgentSizes({"actor": 67_000_000, "sa_encoder": 9}, step_bytes=2**20)
    sizes = dataclasses.replace(sizes_of(config), agents=agents)
    out = io.StringIO()
    print_table(Console(file=out, width=width, highlight=False), [("run", "", "runs/one"), *sizes.rows()])
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0] == "run             runs/one"
    assert lines[1] == "env steps       99,993,600  1 + 3,149 unrolls (prefill + training) of 31,744"
    assert lines[4] == "parameters      67,000,009"
    assert lines[6] == "                         9  sa_encoder"
    assert len(lines) == 1 + len(sizes.rows())  # nothing wraps
    assert max(map(len, lines)) <= 80


def test_format_bytes() -> None:
    assert [format_bytes(n) for n in (0, 2**19, 2**30, 1536 * 2**20)] == ["0.0 MiB", "0.5 MiB", "1.0 GiB", "1.5 GiB"]
