"""Policies by name: the distribution that an actor's network gives, `agent.policy` and `agent.policy_std`."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.gaussian import Gaussian
from deepcrl.core.agents.common.acting.tanh_gaussian import TanhGaussian
from deepcrl.core.checks import at_least, one_of

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0
"""Of a standard deviation that is learned."""
POLICIES: dict[str, type[Gaussian | TanhGaussian]] = {"tanh_gaussian": TanhGaussian, "gaussian": Gaussian}
"""What `agent.policy` may be."""


class Policy(Protocol):
    """A distribution of actions [..., A] in [-1, 1], one for each of the states and goals that it was asked for."""

    @property
    def log_std(self) -> Tensor:
        """[..., A], of the Gaussian before it is squashed or clipped."""
        ...

    def mode(self) -> Tensor:
        """Returns the deterministic action [..., A]."""
        ...

    def sample(self, generator: torch.Generator, *sizes: int) -> Tensor:
        """Draws actions [*sizes, ..., A]."""
        ...

    def rsample_with_log_prob(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws actions [..., A] differentiably, with their log density [...]."""
        ...

    def log_prob(self, action: Tensor) -> Tensor:
        """Returns the log density [...] of actions [..., A], which may be +-1."""
        ...


class PolicyHead:
    """Makes a policy of the features that an actor's network puts out."""

    def __init__(self, name: str, std: float) -> None:
        """`std` is the policy's standard deviation everywhere, before tanh if there is one; 0: the network learns it.

        Raises ValueError for an unknown policy or a negative `std`.
        """
        one_of("agent.policy", name, POLICIES)
        at_least("agent.policy_std", std, 0)
        self._distribution, self._std = POLICIES[name], std

    @property
    def learns_std(self) -> bool:
        return self._std == 0

    def num_features(self, action_dim: int) -> int:
        """Returns how many features the network puts out for actions [A]."""
        return 2 * action_dim if self.learns_std else action_dim

    def __call__(self, features: Tensor) -> Policy:
        """Reads features [..., A] as means; or [..., 2A] as means and, by tanh in [-5, 2], log standard deviations."""
        if not self.learns_std:
            return self._distribution(features, torch.full_like(features, math.log(self._std)))
        mean, raw = features.chunk(2, dim=-1)
        return self._distribution(mean, LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (raw.tanh() + 1))
