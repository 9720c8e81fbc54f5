"""benchmarks/gpu.py where there is no GPU: its arithmetic, its rows and what it says; the clock is the host's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from deepcrl.kernels import dispatch
from deepcrl.run.environment import describe_environment

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


class HostClock:
    """Counts calls: each takes as many milliseconds as its number."""

    def __init__(self) -> None:
        self.marks = count()

    def mark(self) -> int:
        return next(self.marks)

    def wait(self) -> None:
        pass

    def milliseconds(self, start: int, end: int) -> float:
        return float(end)


@pytest.fixture(autouse=True)
def settings_as_before(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_one_layer_by_hand():
    """512 rows of 256 in bf16: the table of docs/kernels.md, where 644, 740 and 768 KiB are these."""
    forward = gpu.trunk_forward(1, 512, 2)
    assert forward.flops == 2 * 512 * 256 * 256 == 67_108_864
    assert forward.bytes == 131_072 + 2 * 262_144 + 4_096  # weight, inputs and dense, statistics
    backward = gpu.trunk_backward(1, 512, 2)
    assert backward.flops == 2 * 67_108_864
    chain, gradient = 131_072 + 262_144 + 4_096, 3 * 262_144 + 262_144
    assert backward.bytes == chain + gradient
    assert gpu.trunk_forward(64, 512, 2).bytes == 64 * forward.bytes
    assert gpu.trunk_backward(1, 512, 2, learns=False) == gpu.Work(67_108_864, chain)


def test_a_whole_update_by_hand():
    per_layer = 11 * 2 * 512 * 256**2  # three networks thrice, the critic's forward and input gradient once more
    stems = 2 * (29 + 2) + 2 * (29 + 8) + 2 * (29 + 8) + 2 * 2
    heads = 3 * 16 + 2 * 64 + 3 * 64 + 3 * 64
    ends = 2 * 512 * 256 * (stems + heads) + 6 * 512 * 512 * 64
    work = gpu.update_work(64, 512, 4)
    assert work.flops == 64 * per_layer + ends
    activation, weight = 512 * 256 * 4, 256 * 256 * 4
    learning = (weight + 2 * activation + 4096) + (weight + activation + 4096) + (3 * activation + weight)
    frozen = (weight + activation + 4096) + (weight + activation + 4096)
    adam = 3 * 32 * 256 * 256  # gradient twice; weight and both moments, in and out
    assert work.bytes == 64 * (3 * learning + frozen + adam)
    in_bf16 = gpu.update_work(64, 512, 2)
    assert in_bf16.flops == work.flops
    assert in_bf16.bytes < work.bytes


def test_flops_are_those_that_torch_counts():
    """An independent count, from the matmuls that plain modules launch."""
    from torch.utils.flop_counter import FlopCounterMode

    from deepcrl.core.agents.common.inputs import AgentInputs
    from deepcrl.core.agents.crl import CRL
    from deepcrl.core.losses.infonce import infonce
    from deepcrl.core.types import Batch
    from deepcrl.kernels.reference import PlainResidualMLP

    def encoder(in_dim, out_dim, generator):
        return PlainResidualMLP(in_dim, out_dim, depth=4, width=gpu.WIDTH)

    agent = CRL(AgentInputs(gpu.SPEC, encoder, encoder, encoder, gpu.Norm(), infonce, CPU, "fp32", seed=0))
    batch = Batch(torch.randn(8, 29), torch.rand(8, 8), torch.randn(8, 2))
    with FlopCounterMode(display=False) as counter:
        agent.update(batch)
    assert gpu.update_work(4, 8, 4).flops == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_a_row_says_what_was_achieved():
    what, work = {"variant": "eager", "precision": "bf16"}, gpu.Work(flops=989e9, bytes=1e9)
    row = gpu.row(what, work, 3.5, [2.0, 1.0, 4.0, 5.0, 3.0], "NVIDIA H100 80GB HBM3")
    assert (row["median"], row["p20"], row["p80"], row["num_calls"]) == (3.0, 1.8, 4.2, 5)
    assert row["tflops"] == pytest.approx(989e9 / 3e-3 / 1e12)
    assert row["gbytes_per_second"] == pytest.approx(1e9 / 3e-3 / 1e9)
    assert row["roofline_share"] == pytest.approx(1.0 / 3.0)  # 989 GFLOP take 1 ms at least, 1 GB less
    assert row["first_call_seconds"] == 3.5
    assert "roofline_share" not in gpu.row(what, work, 3.5, [1.0, 2.0], "A card of tomorrow")


def test_the_roof_is_the_lower_one():
    h100 = "NVIDIA H100 80GB HBM3"
    assert gpu.roofline_seconds(gpu.Work(1.0, 3.35e12), "bf16", h100) == 1.0
    assert gpu.roofline_seconds(gpu.Work(495e12, 1.0), "tf32", h100) == 1.0
    assert gpu.roofline_seconds(gpu.Work(495e12, 1.0), "fp32", h100) == 3.0  # as three tf32 products
    assert gpu.roofline_seconds(gpu.Work(19.5e12, 1.0), "fp32", "NVIDIA A100-SXM4-80GB") == pytest.approx(0.375)


def test_times_each_call_after_the_graph_is_recorded():
    calls = count()
    first, times = gpu.timed(lambda: next(calls), 0.0, HostClock())
    assert next(calls) == 15
    assert times == [float(i) for i in range(1, 11)]
    assert first >= 0


def test_jobs_are_the_whole_table():
    updates = [what for what, *_ in gpu.jobs(CPU) if what["benchmark"] == "gpu_update"]
    assert len(updates) == 5 * 5 * 2
    assert {(u["depth"], u["batch_size"]) for u in updates} == {(4, 256), (16, 512), (64, 512), (256, 512), (1024, 512)}
    assert {(u["variant"], u["precision"]) for u in updates} == {
        *(("eager", precision) for precision in ("fp32", "tf32", "bf16")),
        *(("triton", precision) for precision in ("fp32", "bf16")),
    }


def test_runs_what_a_cpu_can_run_and_goes_on_after_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "SIZES", {4: 8})
    monkeypatch.setattr(gpu, "KERNEL_DEPTHS", (4,))
    monkeypatch.setattr(gpu, "PAIR_SIZES", (8,))

    def broken():
        raise RuntimeError("out of\nmemory")

    plain = [job for job in gpu.jobs(CPU) if job[0]["variant"] == "eager" and not job[0].get("cuda_graph")]
    plain.insert(0, (plain[0][0], plain[0][1], broken))
    rows = list(gpu.run(plain, "no card", HostClock(), seconds=0.0, minutes=1.0))
    said = capsys.readouterr().out
    assert "failed: benchmark=gpu_infonce variant=eager batch_size=8 precision=fp32: out of memory\n" in said
    kinds = [(row["benchmark"], row["precision"]) for row in rows]
    trunk = [(f"gpu_trunk_{way}", precision) for precision in ("fp32", "bf16") for way in ("forward", "backward")]
    assert kinds == [("gpu_infonce", "fp32"), *trunk, *(("gpu_update", p) for p in ("fp32", "tf32", "bf16"))]
    assert {"depth", "batch_size", "value", "unit", "median", "p20", "p80", "gpu"} <= rows[-1].keys()


def test_starts_nothing_after_its_time(capsys):
    todo = list(gpu.jobs(CPU))[:2]
    assert list(gpu.run(todo, "no card", HostClock(), seconds=0.0, minutes=-1.0)) == []
    assert capsys.readouterr().out.count("not measured, out of time: benchmark=gpu_infonce") == 2


def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    program = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--json", str(tmp_path / "rows.jsonl")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert (done.stdout, done.stderr) == ("", "bench gpu: this PyTorch sees no GPU\n")
    assert not list(tmp_path.iterdir())


def test_writes_rows_with_where_they_come_from(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "no card")
    monkeypatch.setattr(gpu, "jobs", lambda device: [({"precision": "fp32"}, gpu.Work(1, 1), lambda: list)])
    monkeypatch.setattr(gpu, "CudaClock", HostClock)
    about = describe_environment() | {"git": {"revision": "abc"}}
    monkeypatch.setattr(gpu, "describe_environment", lambda: about)
    gpu.main(["--seconds", "0", "--json", str(tmp_path / "deep" / "rows.jsonl")])
    (line,) = (tmp_path / "deep" / "rows.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["gpu"], row["commit"], row["value"]) == ("no card", {"revision": "abc"}, 5.5)
    assert row["versions"]["torch"]
