"""Named random generators: every draw of a run comes from one of them, each independent of the others."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, name: str) -> int:
    """Returns the 63-bit seed of the generator `name` in a run with `seed`: a hash, so that no two names overlap."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little") >> 1


def generator(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns the generator `name` of a run with `seed`, for draws on `device`."""
    return torch.Generator(torch.device(device)).manual_seed(derive_seed(seed, name))
