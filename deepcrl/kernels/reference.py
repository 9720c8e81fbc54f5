"""The residual trunk in plain torch, a line per step of the paper: slow, any dtype and device. Tests compare to it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

LN_EPS = 1e-6
"""Flax's LayerNorm epsilon, which the paper's code uses; torch's default is 1e-5."""

ACTIVATIONS = {"swish": F.silu, "relu": F.relu}


def residual_trunk(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    *,
    block_layers: int,
    activation: str,
) -> Tensor:
    """Returns the output [B, W] of L layers in L / block_layers post-activation residual blocks.

    x [B, W]; weight [L, W, W] as (layer, out, in); bias, LayerNorm scale and shift [L, W], the last two None for a
    trunk without LayerNorm. Source: Wang et al. 2025, section 4.1 and the released code, `residual_block`.
    """
    num_layers, width, _ = weight.shape
    for start in range(0, num_layers, block_layers):
        h = x
        for layer in range(start, start + block_layers):
            h = h @ weight[layer].T + bias[layer]
            if scale is not None and shift is not None:
                h = F.layer_norm(h, (width,), scale[layer], shift[layer], LN_EPS)
            h = ACTIVATIONS[activation](h)
        x = x + h
    return x


class PlainResidualMLP(nn.Module):
    """The same network with a module per layer, which tests and benchmarks compare with.

    Maps [B, in_dim] to [B, out_dim]. Weights are torch's defaults; the tests copy them.
    """

    def __init__(self, in_dim: int, out_dim: int, *, depth: int = 4, width: int = 256, block_layers: int = 4) -> None:
        super().__init__()

        def layer(fan_in: int) -> list[nn.Module]:
            return [nn.Linear(fan_in, width), nn.LayerNorm(width, eps=LN_EPS), nn.SiLU()]

        self.stem = nn.Sequential(*layer(in_dim))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(module for _ in range(block_layers) for module in layer(width)))
            for _ in range(depth // block_layers)
        )
        self.head = nn.Linear(width, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x).float()
