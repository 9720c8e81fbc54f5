"""The trunk's rungs over batch sizes, widths and depths; the interpreter is slow, so one grows at a time."""

from __future__ import annotations

import pytest

from tests.kernels.conftest import operands
from tests.kernels.triton.test_trunk import RUNGS, compare, install


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize(("rows", "precision"), [(1, "bf16"), (2, "fp32"), (63, "bf16"), (256, "fp32"), (1000, "bf16")])
def test_any_number_of_rows(monkeypatch, rung, rows, precision):
    install(monkeypatch, rung)
    compare(operands(rows, 16, 2), precision=precision, block_layers=2)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize(("width", "precision"), [(32, "fp32"), (80, "bf16"), (384, "fp32"), (512, "fp32")])
def test_any_width(monkeypatch, rung, width, precision):
    """Beside those of test_trunk.py: widths that fill a tile, and others that are padded to one."""
    install(monkeypatch, rung)
    compare(operands(17, width, 2), precision=precision, block_layers=2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("depth", [4, 8, 16, 32, 64])
def test_any_depth_of_the_stack(monkeypatch, depth, precision):
    install(monkeypatch, "stack")
    compare(operands(3, 16, depth), precision=precision)
