"""Operands for the trunk's tests, and both CPU implementations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.kernels import dispatch
from deepcrl.kernels.native import build


@pytest.fixture(params=["eager", "native"])
def kernels(request, monkeypatch):
    """Runs the test on plain torch and on the C++ library."""
    if request.param == "native" and build.compiler() is None:
        pytest.skip("needs a C++ compiler: apt-get install g++")
    monkeypatch.setattr(dispatch, "_chosen", "eager" if request.param == "eager" else "auto")
    return request.param


@pytest.fixture
def poisoned():
    """Fills whatever torch.empty returns with NaN, so that reading it shows."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


def operands(rows: int, width: int, depth: int, *, layer_norm: bool = True) -> list[Any]:
    """Returns x, weight, bias, scale, shift (None without LayerNorm), every entry away from its initial value."""
    draws = torch.Generator().manual_seed(rows + width + depth)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws)

    scale, shift = 1 + 0.3 * normal(depth, width), 0.3 * normal(depth, width)
    vectors = [scale, shift] if layer_norm else [None, None]
    return [normal(rows, width), normal(depth, width, width) / width**0.5, 0.3 * normal(depth, width), *vectors]


def relative_error(value: Tensor, truth: Tensor) -> float:
    """Norm of the difference over the norm of the truth."""
    return float((value.detach().double() - truth.detach()).norm() / truth.detach().norm())
