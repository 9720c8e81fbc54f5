"""The plain MLP, written out layer by layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepcrl.nets.mlp import MLP
from tests.nets import plain

INPUTS = torch.randn(6, 10, generator=torch.Generator().manual_seed(4))


def make(**settings: Any) -> MLP:
    return MLP(10, 5, torch.Generator().manual_seed(0), **({"width": 16} | settings))


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("norm", sorted(plain.NORMS))
@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
def test_is_layer_after_layer(norm: str, activation: str, depth: int, position: str) -> None:
    net = plain.randomised(make(depth=depth, norm=norm, activation=activation, norm_position=position))
    activate, normalise = plain.ACTIVATIONS[activation], plain.NORMS[norm]

    def expected(x: torch.Tensor) -> torch.Tensor:
        for index in range(depth):
            x = plain.dense(x, net.dense[index])
            after = position == "after"
            x = normalise(activate(x), net.norms, index) if after else activate(normalise(x, net.norms, index))
        return plain.dense(x, net.head)

    plain.assert_same_with_gradients(net, expected, INPUTS)


def test_the_defaults_by_name_are_the_defaults() -> None:
    for net in (make(norm_position="before"), make(init="paper"), make(head_scale=1.0)):
        assert torch.equal(net(INPUTS), make()(INPUTS))


def test_norms_before_and_after_have_the_same_parameters() -> None:
    before, after = make(), make(norm_position="after")
    assert before.state_dict().keys() == after.state_dict().keys()
    assert not torch.equal(before(INPUTS), after(INPUTS))


@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
def test_a_norm_behind_the_activation_leaves_it_an_inputs_length_but_for_relu(activation: str) -> None:
    """Docs/encoders.md says so."""
    net = make(norm_position="after", activation=activation)
    difference = (net(3 * INPUTS) - net(INPUTS)).norm() / net(INPUTS).norm()
    assert difference < 1e-4 if activation == "relu" else difference > 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm_position": "behind"}, r"^Unknown encoder.norm_position 'behind'\. .*Known: after, before$"),
        ({"init": "glorrot"}, r"^Unknown encoder.init 'glorrot'\. Did you mean 'glorot'\? Known: glorot, paper$"),
        ({"head_scale": -0.1}, r"^encoder.head_scale must be at least 0, got -0.1$"),
    ],
)
def test_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)
