"""Named random generators: every draw of a run comes from one of them, each independent of the others.

And draws that buffers and agents share, which never wait for the device.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def derive_seed(seed: int, name: str) -> int:
    """Returns the 63-bit seed of the generator `name` in a run with `seed`: a hash, so that no two names overlap."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little") >> 1


def generator(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns the generator `name` of a run with `seed`, for draws on `device`."""
    return torch.Generator(torch.device(device)).manual_seed(derive_seed(seed, name))


def uniform_like(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from [0, 1) in float64, as many as `tensor` has elements."""
    return torch.rand(tensor.shape, generator=generator, device=tensor.device, dtype=torch.float64)


def truncated_geometric(last: Tensor, log_discount: float, generator: torch.Generator) -> Tensor:
    """Draws k [B] int64 from 1..n, n being `last` [B] int64, at least 1: P(k) proportional to discount^k.

    By inverse CDF, F(k) = (1 - discount^k) / (1 - discount^n): k = ceil(log(1 - u (1 - discount^n)) / log(discount)).
    """
    mass = -torch.expm1(last * log_discount)
    u = uniform_like(last, generator)
    k = torch.ceil(torch.log1p(-u * mass) / log_discount).to(torch.int64)
    # u = 0 gives 0, and rounding can reach one past the end: both events have a probability below 1e-15
    return torch.minimum(k.clamp_min_(1), last)
