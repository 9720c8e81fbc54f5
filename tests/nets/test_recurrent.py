"""The weight-tied residual network."""

from __future__ import annotations

import pytest
import torch

from deepcrl.nets.recurrent import Recurrent
from deepcrl.nets.residual_mlp import ResidualMLP


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("norm", ["layer_norm", "none"])
def test_is_a_residual_mlp_whose_blocks_are_copies(norm: str) -> None:
    tied = Recurrent(10, 5, generator(), depth=6, width=32, block_layers=2, norm=norm)
    free = ResidualMLP(10, 5, generator(), depth=6, width=32, block_layers=2, norm=norm)
    trunk = ("weight", "bias", "scale", "shift")
    state = {k: torch.cat(3 * [v]) if k in trunk else v for k, v in tied.state_dict().items()}
    free.load_state_dict(state)
    x = torch.randn(6, 10, generator=generator())
    torch.testing.assert_close(tied(x), free(x))
    torch.testing.assert_close(tied.block_norms(x), free.block_norms(x))
    tied(x).square().sum().backward()
    free(x).square().sum().backward()
    copies = dict(free.named_parameters())
    for name, parameter in tied.named_parameters():
        grad, expected = parameter.grad, copies[name].grad
        assert grad is not None
        assert expected is not None
        # a shared parameter's gradient is the sum over its copies
        expected = expected.unflatten(0, (3, 2)).sum(dim=0) if name in trunk else expected
        torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-5)


def test_depth_adds_no_parameters() -> None:
    shallow, deep = (Recurrent(10, 5, generator(), depth=depth, width=32) for depth in (4, 64))
    x = torch.randn(6, 10, generator=generator())
    assert sum(p.numel() for p in shallow.parameters()) == sum(p.numel() for p in deep.parameters())
    assert not torch.allclose(shallow(x), deep(x))


def test_refuses_part_of_a_block() -> None:
    with pytest.raises(ValueError, match="encoder.depth is 6; it must be a positive multiple of block_layers=4"):
        Recurrent(10, 5, generator(), depth=6, width=32)
