"""Which code runs the trunk is decided up front, and a failing build is an error, not a fallback."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from deepcrl.kernels import dispatch, eager, products
from deepcrl.kernels.native import build, stack
from deepcrl.kernels.native import trunk as native
from deepcrl.kernels.trunk import residual_trunk
from deepcrl.nets.residual_mlp import ResidualMLP
from tests.kernels.conftest import operands

X = torch.zeros(2, 16)


def test_eager_is_eager(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    dispatch.choose("eager")
    assert dispatch.backend(X) is eager


def test_chosen_kernels_are_those_of_before_afterwards(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    with dispatch.chosen("eager"):
        assert dispatch.backend(X) is eager
    assert dispatch._chosen == "auto"
    with pytest.raises(ValueError, match="Unknown kernels 'eagre'"), dispatch.chosen("eagre"):
        pass


@pytest.mark.skipif(build.compiler() is None, reason="needs a C++ compiler: apt-get install g++")
def test_auto_takes_the_library_where_it_fits(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "eager")
    dispatch.choose("auto")
    monkeypatch.setattr(build, "stack_supported", lambda bf16: False)
    assert dispatch.backend(X) is native
    assert dispatch.backend(X.double()) is eager
    assert dispatch.backend(X.to("meta")) is dispatch.backend(X)  # shapes alone, of what would run
    assert dispatch.backend(torch.zeros(1, build.MAX_WIDTH + 16)) is eager


@pytest.mark.skipif(build.compiler() is None, reason="needs a C++ compiler: apt-get install g++")
def test_auto_takes_the_whole_stack_where_it_fits(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    monkeypatch.setattr(build, "stack_supported", lambda bf16: not bf16)
    assert dispatch.backend(X) is stack
    assert dispatch.backend(X, bf16=True) is native
    assert dispatch.backend(torch.zeros(1, 24)) is native
    assert dispatch.backend(torch.zeros(1, build.STACK_MAX_WIDTH + 16)) is native
    assert dispatch.backend(X.double()) is eager


@pytest.mark.parametrize(
    ("flags", "fp32", "bf16"),
    [
        ("sse4_2 avx", False, False),
        ("avx2 fma", True, False),
        ("avx512f avx512bw avx512dq avx512vl", True, False),
        ("avx512f avx512bw avx512dq avx512vl avx512_bf16", True, True),
        ("avx512f avx512bw avx512dq avx512vl avx512_bf16 amx_bf16", True, False),
    ],
)
def test_the_processor_decides_on_the_whole_stack(monkeypatch, flags, fp32, bf16):
    monkeypatch.setattr(build, "processor", lambda: f"model name : x\nflags : {flags}")
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(build.platform, "system", lambda: "Linux")
    assert [build.stack_supported.__wrapped__(bf16) for bf16 in (False, True)] == [fp32, bf16]


@pytest.mark.parametrize(
    ("line", "auto"),
    [
        ("flags : avx2 fma avx512f", "fp32"),
        ("flags : avx512f avx512_bf16", "bf16"),
        ("flags : avx512f amx_bf16", "bf16"),
        ("Features : fp asimd bf16 i8mm", "bf16"),
        ("", "fp32"),
    ],
)
def test_the_processor_decides_on_precision(monkeypatch, line, auto):
    monkeypatch.setattr(products, "_cpu_flags", lambda: frozenset(line.split()))
    assert dispatch.precision("auto", torch.device("cpu")) == auto
    assert [dispatch.precision(name, torch.device("cpu")) for name in ("fp32", "bf16")] == ["fp32", "bf16"]


@pytest.mark.parametrize(("capability", "auto"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_the_gpu_decides_on_precision(monkeypatch, capability, auto):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert dispatch.precision("auto", torch.device("cuda")) == auto


def test_auto_without_a_compiler_is_eager(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    monkeypatch.setattr(build, "compiler", lambda: None)
    assert dispatch.backend(X) is eager


def test_unknown_kernels():
    with pytest.raises(ValueError, match=r"Unknown kernels 'eagre'\. Did you mean 'eager'"):
        dispatch.choose("eagre")


def test_auto_on_a_gpu_is_eager(monkeypatch):
    """Decided from the device alone: nothing is tried."""
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    with FakeTensorMode():
        x = torch.empty(2, 32, device="cuda")
    assert x.device.type == "cuda"
    assert dispatch.backend(x) is eager


def test_triton_on_a_cpu_is_refused_before_and_during(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    message = "^kernels=triton: it needs a GPU, and the device is cpu$"
    with pytest.raises(ValueError, match=message):
        dispatch.check("triton", torch.device("cpu"))
    dispatch.choose("triton")
    with pytest.raises(ValueError, match=message):
        dispatch.backend(X)
    with pytest.raises(ValueError, match=message):
        residual_trunk(*operands(2, 16, 4), block_layers=4, activation="swish")


def test_triton_takes_a_gpu(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    dispatch.check("triton", torch.device("cuda"))
    dispatch.choose("triton")
    with FakeTensorMode():
        x = torch.empty(2, 32, device="cuda")
    assert dispatch.backend(x) is importlib.import_module("deepcrl.kernels.triton.trunk")
    with pytest.raises(ValueError, match=r"^kernels=triton: .*torch\.float32, not torch\.float64$"):
        dispatch.backend(x.double())
    with pytest.raises(ValueError, match="^kernels=triton: the width must be a multiple of 16 up to 8192, not 24$"):
        dispatch.backend(x.new_empty(2, 24))


def test_a_net_too_wide_for_triton_is_refused_when_it_is_built(monkeypatch):
    monkeypatch.setattr(dispatch, "_chosen", "triton")
    draws = torch.Generator()
    with torch.device("meta"):
        ResidualMLP(3, 2, draws, width=8192)
        with pytest.raises(ValueError, match="^kernels=triton: the width .* not 8208$"):
            ResidualMLP(3, 2, draws, width=8208)
        monkeypatch.setattr(dispatch, "_chosen", "eager")
        ResidualMLP(3, 2, draws, width=8208)


def test_triton_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(dispatch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="^kernels=triton: the package triton is not installed$"):
        dispatch.check("triton", torch.device("cuda"))
    for kernels in ("auto", "eager"):
        dispatch.check(kernels, torch.device("cuda"))


def test_named_compiler_that_is_missing_means_none(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.compiler.__wrapped__() is None


def test_compiler_that_fails_is_an_error_with_its_message(monkeypatch, tmp_path):
    cxx = tmp_path / "c++"
    cxx.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo broken 1.0 && exit 0\necho 'no such flag' >&2\nexit 1\n")
    cxx.chmod(0o755)
    monkeypatch.setattr(build, "compiler", lambda: str(cxx))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(RuntimeError, match=r"(?s)could not build the CPU kernels; kernels=eager.*no such flag"):
        build.library.__wrapped__()
    assert not list((tmp_path / "cache").rglob("*.so"))


@pytest.mark.skipif(build.compiler() is None, reason="needs a C++ compiler: apt-get install g++")
def test_library_is_built_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.library.__wrapped__()
    (built,) = tmp_path.rglob("*.so")
    monkeypatch.setattr(build, "_build", lambda *_: pytest.fail("built twice"))
    build.library.__wrapped__()
    assert built.exists()
