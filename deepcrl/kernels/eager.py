"""The backend in plain torch calls, with the backward pass written out: any device, any dtype, no compiler."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from deepcrl.kernels import products
from deepcrl.kernels.backend import Gradients, Saved, Trunk, Wanted
from deepcrl.kernels.reference import LN_EPS


def prepare(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns the weights as `Trunk` holds them: in the matmul dtype."""
    return weight.to(dtype)


def forward(x: Tensor, trunk: Trunk, saved: Saved) -> Tensor:
    """Runs x [B, W] through `trunk`, filling the non-empty buffers of `saved`; returns a new [B, W]."""
    num_layers = trunk.weight.shape[0]
    dense, h = torch.empty_like(x, dtype=trunk.weight.dtype), x
    for layer in range(num_layers):
        if layer % trunk.block_layers == 0:
            h = x.to(trunk.weight.dtype)
        if saved.inputs.numel():
            saved.inputs[layer].copy_(h)
        z = products.mm(h, trunk.weight[layer].T, out=saved.dense[layer] if saved.dense.numel() else dense)
        h, mean, rstd = _normalise_and_activate(z, trunk, layer, x.dtype)
        if saved.stats.numel():
            saved.stats[layer, 0].copy_(mean)
            saved.stats[layer, 1].copy_(rstd)
        if (layer + 1) % trunk.block_layers == 0:
            x = x + h
        else:
            h = h.to(trunk.weight.dtype)
    return x


def _normalise_and_activate(z: Tensor, trunk: Trunk, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    z = z.to(dtype) + trunk.bias[layer]
    mean = rstd = z.new_empty(0)
    if trunk.scale is not None and trunk.shift is not None:
        z, mean, rstd = torch.native_layer_norm(z, z.shape[-1:], trunk.scale[layer], trunk.shift[layer], LN_EPS)
    return F.silu(z) if trunk.activation == "swish" else F.relu(z), mean.flatten(), rstd.flatten()


def backward(grad: Tensor, trunk: Trunk, saved: Saved, wanted: Wanted, into: Gradients) -> Tensor:
    """Takes the gradient [B, W] of the output of `trunk` to that of its input, filling `into` on the way.

    Where `wanted.x` is false the returned tensor is meaningless, since the first layer's is not computed.
    """
    num_layers = trunk.weight.shape[0]
    grad_dense = torch.empty_like(saved.dense) if wanted.weight else torch.empty_like(saved.dense[:1])
    g = grad
    for layer in reversed(range(num_layers)):
        if (layer + 1) % trunk.block_layers == 0:
            g = grad
        dz = _backward_elementwise(g, trunk, saved, layer, into.vectors if wanted.vectors else None)
        dz = grad_dense[layer if wanted.weight else 0].copy_(dz)
        if layer or wanted.x:
            g = products.mm(dz, trunk.weight[layer]).to(grad.dtype)
        if layer % trunk.block_layers == 0:
            grad = grad + g
    if wanted.weight:
        products.weight_gradients(grad_dense, saved.inputs, into.weight)
    return grad


def backward_scratch_bytes(grad: Tensor, trunk: Trunk, wanted: Wanted) -> int:
    """Returns the bytes that `backward` takes beside its arguments and its result."""
    num_layers, width, _ = trunk.weight.shape
    one, weights = products.scratch_bytes(grad.shape[0], num_layers, width, trunk.dtype, grad.device)
    dense = (num_layers if wanted.weight else 1) * grad.numel() * trunk.dtype.itemsize
    layer = one + 8 * grad.nbytes  # the elementwise steps of one layer
    return dense + max(layer, weights if wanted.weight else 0)


def _backward_elementwise(g: Tensor, trunk: Trunk, saved: Saved, layer: int, vectors: Tensor | None) -> Tensor:
    """Returns the gradient [B, W] of a layer's matmul, and fills `vectors[layer]` unless it is None."""
    z = saved.dense[layer].to(g.dtype) + trunk.bias[layer]
    if trunk.scale is None or trunk.shift is None:
        dz = _backward_activation(g, z, trunk.activation)
    else:
        mean, rstd = saved.stats[layer, 0, :, None], saved.stats[layer, 1, :, None]
        z_hat = (z - mean) * rstd
        du = _backward_activation(g, torch.addcmul(trunk.shift[layer], z_hat, trunk.scale[layer]), trunk.activation)
        d_hat = du * trunk.scale[layer]
        dz = rstd * (d_hat - d_hat.mean(-1, keepdim=True) - z_hat * (d_hat * z_hat).mean(-1, keepdim=True))
        if vectors is not None:
            torch.sum(du * z_hat, 0, out=vectors[layer, 1])
            torch.sum(du, 0, out=vectors[layer, 2])
    if vectors is not None:
        torch.sum(dz, 0, out=vectors[layer, 0])
    return dz


def _backward_activation(g: Tensor, u: Tensor, activation: str) -> Tensor:
    if activation == "relu":
        return g * (u > 0)
    sigmoid = torch.sigmoid(u)
    return g * sigmoid * (1 + u * (1 - sigmoid))
