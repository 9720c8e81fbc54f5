"""Norms, activations and gradients written out, for encoders to be held against in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "swish": lambda x: x / (1 + torch.exp(-x)),
    "relu": lambda x: x * (x > 0),
    "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    "tanh": lambda x: (torch.exp(2 * x) - 1) / (torch.exp(2 * x) + 1),
}


def layer_norm(x: Tensor, norms: Any, index: int) -> Tensor:
    centred = x - x.mean(dim=1, keepdim=True)
    return centred / ((centred**2).mean(dim=1, keepdim=True) + 1e-6).sqrt() * norms.scale[index] + norms.shift[index]


def rms_norm(x: Tensor, norms: Any, index: int) -> Tensor:
    return x / ((x**2).mean(dim=1, keepdim=True) + 1e-6).sqrt() * norms.scale[index]


NORMS: dict[str, Callable[[Tensor, Any, int], Tensor]] = {
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "none": lambda x, norms, index: x,
}


def dense(x: Tensor, layers: Any, index: int | None = None) -> Tensor:
    weight, bias = (layers.weight, layers.bias) if index is None else (layers.weight[index], layers.bias[index])
    return x @ weight.T + bias


def randomised(net: Any, seed: int = 3) -> Any:
    """Returns the network in float64 with every parameter moved off its initial value, where symmetries hide errors."""
    net.double()
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=draws, dtype=torch.float64))
    return net


def assert_same_with_gradients(net: Any, expected: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Asserts that `net` computes `expected`, and the same gradients of its input and of every parameter."""
    results = []
    for function in (net, expected):
        inputs = x.double().requires_grad_()
        y = function(inputs)
        weights = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view_as(y)
        results.append((y, *torch.autograd.grad((weights * y.sin()).sum(), [inputs, *net.parameters()])))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)
