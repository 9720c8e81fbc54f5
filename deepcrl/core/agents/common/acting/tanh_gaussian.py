"""A Gaussian squashed by tanh."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.gaussian import log_normal, noise_like


@dataclass(frozen=True, slots=True)
class TanhGaussian:
    """tanh(mean + exp(log_std) * noise), componentwise; actions lie in (-1, 1) (released code train.py:202-232)."""

    mean: Tensor
    """[..., A]"""
    log_std: Tensor
    """[..., A]"""

    def mode(self) -> Tensor:
        """Returns the deterministic action tanh(mean) [..., A]."""
        return self.mean.tanh()

    def sample(self, generator: torch.Generator, *sizes: int) -> Tensor:
        """Draws actions [*sizes, ..., A]."""
        return (self.mean + self.log_std.exp() * noise_like(self.mean, generator, *sizes)).tanh()

    def rsample_with_log_prob(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws actions [..., A] differentiably, with their log density [...].

        The 1e-6 in log(1 - a^2 + 1e-6) is the released code's (train.py:748-752); it bounds the term at -13.8.
        """
        noise = noise_like(self.mean, generator)
        action = (self.mean + self.log_std.exp() * noise).tanh()
        return action, (log_normal(noise, self.log_std) - (1 - action.square() + 1e-6).log()).sum(dim=-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Returns the log density [...] of actions [..., A], by the same formula.

        Actions are first drawn back into [-1 + 1e-6, 1 - 1e-6]: the preimage of 1 is infinite, that of the bound 7.25.
        Data full of +-1 therefore pull means and deviations far out, where tanh is flat; `gaussian` is for them.
        """
        action = action.clamp(-1 + 1e-6, 1 - 1e-6)
        noise = (action.atanh() - self.mean) * (-self.log_std).exp()
        return (log_normal(noise, self.log_std) - (1 - action.square() + 1e-6).log()).sum(dim=-1)
