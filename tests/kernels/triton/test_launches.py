"""The launch counts of docs/kernels.md are those of benchmarks/launches.py, and it counts what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from benchmarks.launches import DEPTHS, RUNGS, Launches, count

DOCS = Path(__file__).parents[3] / "docs/kernels.md"


def test_counts_what_computes():
    x = torch.ones(4, 4)
    with Launches() as launches:
        torch.empty(3)
        x.t().unsqueeze(0).detach()
        y = torch.mm(x, x)  # 1
        y.add_(1)  # 2
        torch._foreach_copy_([x], [y])  # 3  # pyright: ignore[reportPrivateImportUsage]
        y.zero_()  # 4
    assert launches.total == 4


def test_refuses_a_step_that_waits_for_the_device():
    x = torch.ones(2)
    with Launches(), pytest.raises(RuntimeError, match="waits for the device"):
        x.sum().item()


@pytest.mark.parametrize("rung", [*RUNGS, "stack + CUDA graph"])
def test_the_documented_counts(rung):
    """Those at depth 1024, which the program counts, lie on the line through two shallower ones."""
    (line,) = re.findall(rf"^\| {re.escape(rung)} \| ([\d,]+) \| ([\d,]+) \|$", DOCS.read_text(), re.MULTILINE)
    shallow, deep = (int(number.replace(",", "")) for number in line)
    name, graph = rung.removesuffix(" + CUDA graph"), rung.endswith("graph")
    at_32, at_64 = (count(name, depth, graph=graph).total for depth in (32, 64))
    assert DEPTHS == (64, 1024)
    assert shallow == at_64
    assert deep == at_64 + (1024 - 64) // 32 * (at_64 - at_32)


def test_kernels_per_layer():
    """Four passes forward, four backward: one kernel per layer on `norm`, one for all layers on `stack`.

    The fused loss has three: one forward, one for each embedding's gradient.
    """
    assert [count(rung, 8).triton for rung in RUNGS] == [0, 64 + 3, 8 + 3]
