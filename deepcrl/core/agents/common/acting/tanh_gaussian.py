"""The policy head: a Gaussian squashed by tanh, with a bounded standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


@dataclass(frozen=True, slots=True)
class TanhGaussian:
    """tanh(mean + exp(log_std) * noise), componentwise; actions lie in (-1, 1) (released code train.py:202-232)."""

    mean: Tensor
    """[..., A]"""
    log_std: Tensor
    """[..., A], in [-5, 2]"""

    @classmethod
    def from_features(cls, features: Tensor) -> TanhGaussian:
        """Splits features [..., 2A] into means and log standard deviations, the latter by tanh into [-5, 2]."""
        mean, raw = features.chunk(2, dim=-1)
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (raw.tanh() + 1)
        return cls(mean, log_std)

    def mode(self) -> Tensor:
        """Returns the deterministic action tanh(mean) [..., A]."""
        return self.mean.tanh()

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draws actions [..., A]."""
        return (self.mean + self.log_std.exp() * _normal_like(self.mean, generator)).tanh()

    def rsample_with_log_prob(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws actions [..., A] differentiably, with their log density [...].

        The 1e-6 in log(1 - a^2 + 1e-6) is the released code's (train.py:748-752); it bounds the term at -13.8.
        """
        noise = _normal_like(self.mean, generator)
        action = (self.mean + self.log_std.exp() * noise).tanh()
        log_normal = -0.5 * noise.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return action, (log_normal - (1 - action.square() + 1e-6).log()).sum(dim=-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Returns the log density [...] of actions [..., A], by the same formula.

        Actions are first drawn back into [-1 + 1e-6, 1 - 1e-6]: tanh rounds to 1, whose preimage is infinite.
        """
        action = action.clamp(-1 + 1e-6, 1 - 1e-6)
        noise = (action.atanh() - self.mean) * (-self.log_std).exp()
        log_normal = -0.5 * noise.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return (log_normal - (1 - action.square() + 1e-6).log()).sum(dim=-1)


def _normal_like(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
