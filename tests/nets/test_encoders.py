"""What holds for every registered encoder, and the plain MLP by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepcrl.core.components import ENCODERS


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, seed: int = 0, **settings: Any) -> Any:
    settings = {"name": name, "depth": 4, "width": 32} | settings
    return ENCODERS.build(settings, 10, 5, generator(seed))


INPUTS = torch.randn(6, 10, generator=generator(4))


@pytest.mark.parametrize("name", ENCODERS)
def test_maps_inputs_to_embeddings_that_differ(name: str) -> None:
    y = make(name)(INPUTS)
    assert y.shape == (6, 5)
    assert y.std(dim=0).min() > 0.01


@pytest.mark.parametrize("name", ENCODERS)
def test_generator_alone_decides_the_weights(name: str) -> None:
    torch.manual_seed(1)
    first = make(name)(INPUTS)
    torch.manual_seed(2)
    assert torch.equal(make(name)(INPUTS), first)
    assert not torch.equal(make(name, seed=1)(INPUTS), first)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    net = make(name)
    net(INPUTS).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_autocast_rounds_inside_and_returns_float32(name: str) -> None:
    net = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = net(INPUTS)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, net(INPUTS))
    torch.testing.assert_close(rounded, net(INPUTS), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", ENCODERS)
def test_64_layers(name: str) -> None:
    y = make(name, depth=64)(INPUTS)
    assert y.isfinite().all()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(("setting", "value"), [("depth", 0), ("width", -1), ("activation", "swich")])
def test_bad_settings_are_named(name: str, setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"(encoder.{setting} is {value}|Did you mean 'swish')"):
        make(name, **{setting: value})


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize(("activation", "function"), [("swish", torch.nn.SiLU()), ("relu", torch.nn.ReLU())])
def test_mlp_is_layer_after_layer(layer_norm: bool, activation: str, function: Any) -> None:
    net, x = make("mlp", depth=3, layer_norm=layer_norm, activation=activation), INPUTS
    for layer in net.layers:
        x = x @ layer.weight.T + layer.bias
        if layer_norm:
            x = (x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, keepdim=True, correction=0) + 1e-6).sqrt()
        x = function(x)
    assert len(net.layers) == 3
    torch.testing.assert_close(net(INPUTS), x @ net.head.weight.T + net.head.bias)


@pytest.mark.parametrize(("activation", "function"), [("swish", torch.nn.SiLU()), ("relu", torch.nn.ReLU())])
def test_simba_adds_each_block_to_its_input(activation: str, function: Any) -> None:
    net = make("simba", depth=6, expansion=3, activation=activation)

    def norm(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, keepdim=True, correction=0) + 1e-6).sqrt()

    x = INPUTS @ net.stem.weight.T + net.stem.bias
    for block in range(3):
        hidden = function(norm(x) @ net.widen[block].weight.T + net.widen[block].bias)
        assert hidden.shape == (6, 3 * 32)
        x = x + hidden @ net.narrow[block].weight.T + net.narrow[block].bias
    torch.testing.assert_close(net(INPUTS), norm(x) @ net.head.weight.T + net.head.bias)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"depth": 5}, "encoder.depth is 5; it must be even"), ({"expansion": 0}, "encoder.expansion is 0; it must be")],
)
def test_simba_refuses_half_a_block(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("simba", **settings)
