"""Hyper-connections, written out stream by stream, and the residual network that they start as."""

from __future__ import annotations

import pytest
import torch

from deepcrl.nets.learned_connections import HyperConnections
from deepcrl.nets.residual_mlp import ResidualMLP
from tests.nets import plain

INPUTS = torch.randn(6, 10, generator=torch.Generator().manual_seed(4))


def make(**settings: object) -> HyperConnections:
    settings = {"depth": 6, "width": 16, "block_layers": 2, "num_streams": 2} | settings
    return HyperConnections(10, 5, torch.Generator().manual_seed(0), **settings)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("num_streams", [1, 2, 5])
@pytest.mark.parametrize("norm", sorted(plain.NORMS))
@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
def test_blocks_read_mix_and_write_streams(norm: str, activation: str, num_streams: int) -> None:
    net = plain.randomised(make(norm=norm, activation=activation, num_streams=num_streams))
    normalise, activate, each = plain.NORMS[norm], plain.ACTIVATIONS[activation], range(num_streams)

    def expected(x: torch.Tensor) -> torch.Tensor:
        stem = activate(normalise(plain.dense(x, net.stem), net.norms, 0))
        streams = [stem for _ in each]
        for block in range(3):
            h = torch.stack([net.read[block, i] * streams[i] for i in each]).sum(dim=0)
            for layer in (2 * block, 2 * block + 1):
                h = activate(normalise(plain.dense(h, net.dense, layer), net.norms, 1 + layer))
            streams = [
                torch.stack([net.mix[block, i, j] * streams[j] for j in each]).sum(dim=0) + net.write[block, i] * h
                for i in each
            ]
        return plain.dense(torch.stack(streams).mean(dim=0), net.head)

    plain.assert_same_with_gradients(net, expected, INPUTS)


def test_starts_as_the_residual_network() -> None:
    ours = HyperConnections(10, 5, torch.Generator().manual_seed(0), depth=8, width=16)
    residual = ResidualMLP(10, 5, torch.Generator().manual_seed(0), depth=8, width=16)
    assert torch.equal(ours.dense.weight, residual.weight)
    torch.testing.assert_close(ours(INPUTS), residual(INPUTS), rtol=1e-4, atol=1e-5)


def test_streams_are_read_in_turn() -> None:
    assert make(depth=8, num_streams=3).read.argmax(dim=1).tolist() == [0, 1, 2, 0]


def test_training_parts_the_streams() -> None:
    net = plain.randomised(make(num_streams=3))
    one = make(num_streams=1)
    assert net.mix.numel() == 3 * 9
    assert one.mix.numel() == 3
    plain.randomised(one)
    assert not torch.allclose(net(INPUTS.double()), one(INPUTS.double()), atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 5}, "encoder.depth is 5; it must be a positive multiple of block_layers=2, such as 4 or 6"),
        ({"block_layers": 0}, "encoder.block_layers must be at least 1, got 0"),
        ({"num_streams": 0}, "encoder.num_streams must be at least 1, got 0"),
    ],
)
def test_refuses(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)
