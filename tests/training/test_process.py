"""What a configuration sets for the whole process: kernels, tf32, threads, the current GPU."""

from __future__ import annotations

import pytest
import torch

from deepcrl.kernels import dispatch, eager
from deepcrl.kernels.native import build
from deepcrl.training.process import configure_process

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


def test_kernels_run_the_trunk_that_was_chosen(tiny) -> None:
    x = torch.zeros(2, 16)
    configure_process(tiny(kernels="eager"), CPU)
    assert dispatch.backend(x) is eager
    configure_process(tiny(), CPU)
    assert (dispatch.backend(x) is eager) == (build.compiler() is None)


@pytest.mark.parametrize(("precision", "matmuls"), [("fp32", "highest"), ("bf16", "highest"), ("tf32", "high")])
def test_precision_decides_on_tf32(tiny, precision: str, matmuls: str) -> None:
    torch.set_float32_matmul_precision("medium")
    configure_process(tiny(precision=precision), CPU)
    assert torch.get_float32_matmul_precision() == matmuls


def test_threads_are_those_that_were_asked_for_or_all(tiny, monkeypatch) -> None:
    monkeypatch.setattr("deepcrl.training.process.ALL_THREADS", 3)
    for asked, threads in ((1, 1), (0, 3)):
        configure_process(tiny(num_threads=asked), CPU)
        assert torch.get_num_threads() == threads


def test_a_gpu_by_number_becomes_the_current_one(tiny, monkeypatch) -> None:
    current = []
    monkeypatch.setattr("torch.cuda.set_device", current.append)
    for name in ("cuda", "cpu", "cuda:1"):
        configure_process(tiny(), torch.device(name))
    assert current == [torch.device("cuda:1")]
