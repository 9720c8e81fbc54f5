"""Initial values, norms and activations by name, stacks, and what autocast rounds."""

from __future__ import annotations

import math

import pytest
import torch

from deepcrl.nets import layers
from deepcrl.nets.layers import ACTIVATIONS, INITS, NORMS, Dense, DenseStack, activation_of, norms_of
from tests.nets import plain


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


INPUTS = torch.randn(6, 16, generator=generator(4), dtype=torch.float64)


def test_dense_layers_start_uniform_within_the_fan_in() -> None:
    for layer in (Dense(100, 300, generator()), DenseStack(3, 100, 100, generator())):
        weight, bound = layer.weight.detach(), 1 / math.sqrt(100)
        assert 0.99 * bound < weight.abs().max() <= bound
        assert abs(float(weight.std()) - bound / math.sqrt(3)) < 0.02 * bound  # a uniform's standard deviation
        assert abs(float(weight.mean())) < 0.02 * bound
        assert not layer.bias.any()


def test_glorot_layers_start_uniform_within_both_fans() -> None:
    for layer in (Dense(100, 300, generator(), INITS["glorot"]), DenseStack(3, 100, 300, generator(), INITS["glorot"])):
        weight, bound = layer.weight.detach(), math.sqrt(6 / 400)
        assert 0.99 * bound < weight.abs().max() <= bound
        assert abs(float(weight.std()) - 1 / math.sqrt(200)) < 0.02 * bound  # the variance is 1 / the fans' average
        assert abs(float(weight.mean())) < 0.02 * bound
        assert not layer.bias.any()


@pytest.mark.parametrize("init", sorted(INITS))
def test_a_scale_multiplies_the_weights(init: str) -> None:
    full, small = (Dense(10, 5, generator(), INITS[init], scale).weight for scale in (1.0, 0.1))
    assert torch.equal(full, INITS[init]((5, 10), generator()))
    torch.testing.assert_close(small, 0.1 * full)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations(name: str) -> None:
    torch.testing.assert_close(activation_of(name)(INPUTS), plain.ACTIVATIONS[name](INPUTS))


@pytest.mark.parametrize("name", sorted(NORMS))
def test_norms(name: str) -> None:
    norms = plain.randomised(norms_of(name, 3, 16))
    for index, norm in enumerate(norms.layers()):
        torch.testing.assert_close(norm(INPUTS), plain.NORMS[name](INPUTS, norms, index))
    assert len(norms.layers()) == 3


def test_norms_start_as_plain_normalisation() -> None:
    for name in ("layer_norm", "rms_norm"):
        (norm,) = norms_of(name, 1, 16).layers()
        torch.testing.assert_close(norm(5 * INPUTS.float()).square().mean(dim=1), torch.ones(6), rtol=0.1, atol=0)


class Chain(DenseStack):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers():
            x = layer(x)
        return x


def test_a_stack_is_layer_after_layer_with_its_gradients() -> None:
    stack = plain.randomised(Chain(3, 16, 16, generator()))

    def expected(x: torch.Tensor) -> torch.Tensor:
        for index in range(3):
            x = plain.dense(x, stack, index)
        return x

    plain.assert_same_with_gradients(stack, expected, INPUTS)


@pytest.mark.parametrize("bf16", [False, True])
def test_autocast_rounds_the_matmul_only(bf16: bool) -> None:
    x = INPUTS.float()
    dense, stack = Dense(16, 8, generator()), DenseStack(1, 16, 8, generator())
    exact = [dense(x), stack.layers()[0](x), layers.matmul(x, x.T)]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        got = [dense(x), stack.layers()[0](x), layers.matmul(x, x.T)]
    assert all(y.dtype == torch.float32 for y in got)
    assert [torch.equal(a, b) for a, b in zip(got, exact, strict=True)] == [not bf16, not bf16, True]
    torch.testing.assert_close(got, exact, rtol=0.05, atol=0.05)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"^Unknown norm 'layernorm'. Did you mean 'layer_norm'\? Known: layer_norm, "):
        norms_of("layernorm", 1, 16)
    with pytest.raises(ValueError, match=r"^Unknown activation 'silu'. .*Known: gelu, relu, swish, tanh$"):
        activation_of("silu")
