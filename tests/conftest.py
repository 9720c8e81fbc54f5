"""Fills the registries once, keeps tests off all cores, and compares states."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from deepcrl.core.components import discover

# Triton decides when it is first imported whether its own functions are interpreted; drawing imports it, see choose_gl
with (
    contextlib.suppress(ImportError),
    mock.patch.dict(os.environ, {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}),
):
    importlib.import_module("triton")
SIGNALS = dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2), signal.SIG_DFL)
SIGNALS |= {signal.SIGINT: signal.default_int_handler}
for number, handler in SIGNALS.items():  # whoever starts the suite may ignore some, as `nohup` and `&` in a script do
    signal.signal(number, handler)
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)  # workers share the cores
discover()

LONGEST = (
    *("test_learning", "test_pages", "test_readme", "cli/test_processes", "cli/hydra/test_sweep"),
    *("benchmarks/test_triton_aot", "cli/test_supervisor", "training/test_resume", "kernels/triton/test_trunk"),
    *("test_notebook", "test_configs", "cli/test_bad_input"),
)
"""Files that take longest, in falling order. They come first, so that no worker is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"{name}.py": rank for rank, name in enumerate(LONGEST)}
    root = Path(__file__).parent
    items.sort(key=lambda item: order.get(item.path.relative_to(root).as_posix(), len(order)))


@pytest.fixture(autouse=True)
def signals_come_back() -> Iterator[None]:
    """Gives signals their usual answers again: a command that ends ignores them, also in this process."""
    yield
    for number, handler in SIGNALS.items():
        signal.signal(number, handler)


def assert_same(a: Any, b: Any, path: str = "") -> None:
    """Asserts that two states are equal bit by bit, but for how long they took."""
    assert type(a) is type(b), path
    if dataclasses.is_dataclass(a):
        a, b = ({f.name: getattr(x, f.name) for f in dataclasses.fields(x)} for x in (a, b))
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            if not (str(key).startswith("time/") or key == "wall_seconds"):
                assert_same(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}/{i}")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, path
        assert torch.equal(a, b), path
    else:
        assert a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)), path


@pytest.fixture
def same() -> Callable[..., None]:
    return assert_same
