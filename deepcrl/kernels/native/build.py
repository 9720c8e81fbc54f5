"""Builds and loads `elementwise.cpp`, once per source, compiler and processor."""

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

_SOURCE = Path(__file__).with_name("elementwise.cpp")
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")

MAX_WIDTH = 8192
"""`kMaxWidth` of elementwise.cpp, whose rows live on the stack."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class Shape(ctypes.Structure):
    """`struct Shape` of elementwise.cpp: rows, width, the number of row ranges, and 1 for Swish or 0 for ReLU."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("parts", ctypes.c_int64),
        ("swish", ctypes.c_int64),
    )


@functools.cache
def compiler() -> str | None:
    """Returns the path of the C++ compiler (`CXX`, else g++ or clang++), or None where the eager path must serve."""
    if platform.system() != "Linux":
        return None
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return next(filter(None, map(shutil.which, names)), None)


@functools.cache
def library() -> ctypes.CDLL:
    """Returns the loaded library, built if this machine has not built it yet. RuntimeError if the compiler fails."""
    cxx = compiler()
    assert cxx is not None, "dispatch asks for a library only where there is a compiler"
    version = subprocess.run([cxx, "--version"], capture_output=True, text=True, check=True).stdout
    key = "\0".join((_SOURCE.read_text(), version, _processor(), *_FLAGS))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepcrl"
    path = cache / f"elementwise-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"
    if not path.exists():
        _build(cxx, path)
    _keep_freed_memory()
    lib = ctypes.CDLL(str(path))
    for name in ("forward_fp32", "forward_bf16"):
        getattr(lib, name).argtypes = [ctypes.c_void_p] * 10 + [ctypes.c_float]
    for name in ("backward_fp32", "backward_bf16", "backward_bf16_stream"):
        getattr(lib, name).argtypes = [ctypes.c_void_p] * 10
    return lib


def _build(cxx: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        built = Path(scratch) / path.name
        done = subprocess.run([cxx, *_FLAGS, "-o", str(built), str(_SOURCE)], capture_output=True, text=True)
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


def _processor() -> str:
    """Returns what -march=native depends on: the processor's model and features."""
    info = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    return "\n".join(line for line in info.splitlines() if line.startswith(("model name", "flags", "Features")))
