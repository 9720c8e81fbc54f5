"""A Gaussian that nothing squashes: what it draws is clipped to the bounds of an action."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Gaussian:
    """mean + exp(log_std) * noise, componentwise, clipped to [-1, 1] to be an action (OGBench's policy).

    Densities are those of the Gaussian before the clip: an action of 1 is a point like any other, and imitating it
    pulls the mean to 1, no farther. The clip passes gradients on for what lies within the bounds, and none beyond.
    """

    mean: Tensor
    """[..., A], anywhere"""
    log_std: Tensor
    """[..., A]"""

    def mode(self) -> Tensor:
        """Returns the deterministic action [..., A], the mean."""
        return self.mean.clamp(-1, 1)

    def sample(self, generator: torch.Generator, *sizes: int) -> Tensor:
        """Draws actions [*sizes, ..., A]."""
        return (self.mean + self.log_std.exp() * noise_like(self.mean, generator, *sizes)).clamp(-1, 1)

    def rsample_with_log_prob(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws actions [..., A] differentiably, with the log density [...] of each draw as it was before the clip."""
        noise = noise_like(self.mean, generator)
        action = (self.mean + self.log_std.exp() * noise).clamp(-1, 1)
        return action, log_normal(noise, self.log_std).sum(dim=-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Returns the log density [...] of actions [..., A]."""
        noise = (action - self.mean) * (-self.log_std).exp()
        return log_normal(noise, self.log_std).sum(dim=-1)


def noise_like(like: Tensor, generator: torch.Generator, *sizes: int) -> Tensor:
    """Draws standard normal noise [*sizes, ...] for a tensor [...]."""
    return torch.randn(*sizes, *like.shape, generator=generator, device=like.device, dtype=like.dtype)


def log_normal(noise: Tensor, log_std: Tensor) -> Tensor:
    """Returns the log density of mean + exp(log_std) * noise, componentwise."""
    return -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
