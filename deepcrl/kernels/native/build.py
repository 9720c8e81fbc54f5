"""Builds and loads the C++ libraries, once per source, compiler and processor."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math")
_FLAGS += ("-fno-strict-aliasing", "-shared", "-fPIC")  # aliasing: the kernels read pairs of bf16 as words

MAX_WIDTH = 8192
"""`kMaxWidth` of elementwise.cpp, whose rows live on the stack."""
STACK_MAX_WIDTH = 512
"""Widest trunk for the whole-stack kernels: beyond it a layer's weights outgrow the L2 cache, which they rely on."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class Shape(ctypes.Structure):
    """`struct Shape` of elementwise.cpp: rows, width, the number of row ranges, and 1 for Swish or 0 for ReLU."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("parts", ctypes.c_int64),
        ("swish", ctypes.c_int64),
    )


class Stack(ctypes.Structure):
    """`struct Stack` of stack.h: a trunk and the number of rows."""

    _fields_ = (
        *((n, ctypes.c_int64) for n in ("rows", "width", "layers", "block_layers", "threads", "swish")),
        *((n, ctypes.c_void_p) for n in ("weight", "bias", "scale", "shift")),
        ("eps", ctypes.c_float),
    )


class Job(ctypes.Structure):
    """`struct Job` of stack_backward.cpp: what the forward pass kept and where the gradients go; null is unwanted."""

    _fields_ = (
        *((n, ctypes.c_void_p) for n in ("inputs", "dense", "stats", "grad", "grad_weight", "grad_vectors")),
        ("want_x", ctypes.c_int64),
    )


@functools.cache
def stack_supported(bf16: bool) -> bool:
    """Whether this processor has the instructions of the whole-stack kernels, and torch has no faster ones to use."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return False
    flags = set(processor().split())
    avx512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags
    if bf16:  # AMX multiplies bf16 several times as fast as the vector units, and torch uses it.
        return avx512 and "avx512_bf16" in flags and "amx_bf16" not in flags
    return avx512 or {"avx2", "fma"} <= flags


@functools.cache
def compiler() -> str | None:
    """Returns the path of the C++ compiler (`CXX`, else g++ or clang++), or None where there is none."""
    if platform.system() != "Linux":
        return None
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return next(filter(None, map(shutil.which, names)), None)


@functools.cache
def library() -> ctypes.CDLL:
    """Returns the library of `native.trunk`, built if this machine has not built it yet. RuntimeError if that fails."""
    lib = _load("elementwise", "elementwise.cpp")
    for name in ("forward_fp32", "forward_bf16"):
        getattr(lib, name).argtypes = [ctypes.c_void_p] * 10 + [ctypes.c_float]
    for name in ("backward_fp32", "backward_bf16", "backward_bf16_stream"):
        getattr(lib, name).argtypes = [ctypes.c_void_p] * 10
    return lib


@functools.cache
def stack_library() -> ctypes.CDLL:
    """Returns the library of `native.stack`, built if this machine has not built it yet. RuntimeError if that fails."""
    lib = _load(
        "stack", "stack_forward.cpp", "stack_backward.cpp", headers=("vec.h", "gemm.h", "pack.h", "rows.h", "stack.h")
    )
    stack, job, pointer = ctypes.POINTER(Stack), ctypes.POINTER(Job), ctypes.c_void_p
    lib.stack_forward_scratch.argtypes, lib.stack_forward_scratch.restype = [stack, ctypes.c_int64], ctypes.c_int64
    lib.stack_backward_scratch.argtypes = [stack, job, ctypes.c_int64]
    lib.stack_backward_scratch.restype = ctypes.c_int64
    for precision in ("fp32", "bf16") if stack_supported(bf16=True) else ("fp32",):
        getattr(lib, f"stack_forward_{precision}").argtypes = [stack, *[pointer] * 6]
        getattr(lib, f"stack_backward_{precision}").argtypes = [stack, job, pointer]
    return lib


def _load(name: str, *sources: str, headers: tuple[str, ...] = ()) -> ctypes.CDLL:
    cxx = compiler()
    assert cxx is not None, "dispatch asks for a library only where there is a compiler"
    version = subprocess.run([cxx, "--version"], capture_output=True, text=True, check=True).stdout
    here = Path(__file__).parent
    texts = [(here / file).read_text() for file in (*sources, *headers)]
    key = "\0".join((*texts, version, processor(), *_FLAGS))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepcrl"
    path = cache / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"
    if not path.exists():
        _build(cxx, path, [here / file for file in sources])
    _keep_freed_memory()
    return ctypes.CDLL(str(path))


def _build(cxx: str, path: Path, sources: list[Path]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        built = Path(scratch) / path.name
        done = subprocess.run([cxx, *_FLAGS, "-o", str(built), *map(str, sources)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(
                f"{cxx} could not build the CPU kernels; kernels=eager needs no compiler.\n{done.stderr}"
            )
        built.replace(path)  # atomic: another process may be building the same file


def _keep_freed_memory() -> None:
    """Lets glibc reuse large freed blocks instead of giving them back to the system.

    A deep trunk's activations are tens of MB per tensor, which glibc maps afresh and unmaps every time: at depth 64
    that is 84,000 page faults per gradient step, 160 ms of system time. Other C libraries have no `mallopt`.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(option, ctypes.c_int(2**31 - 1))


def processor() -> str:
    """Returns what -march=native depends on, the processor's model and features; on Linux only."""
    if platform.system() != "Linux":
        return ""
    info = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    return "\n".join(line for line in info.splitlines() if line.startswith(("model name", "flags", "Features")))
