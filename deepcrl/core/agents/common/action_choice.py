"""How a policy's action is chosen: the names that `agent.exploration` and `agent.evaluation` take."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepcrl.core.agents.common.tanh_gaussian import TanhGaussian
from deepcrl.core.checks import suggest

Score = Callable[[Tensor], Tensor]
"""Energies [K, N] of candidate actions [K, N, A]."""
Choice = Callable[[TanhGaussian, Score, int, torch.Generator], Tensor]


def deterministic(policy: TanhGaussian, score: Score, num_candidates: int, generator: torch.Generator) -> Tensor:
    """The mode, tanh(mean)."""
    return policy.mode()


def sample(policy: TanhGaussian, score: Score, num_candidates: int, generator: torch.Generator) -> Tensor:
    """One draw."""
    return policy.sample(generator)


def best_of(policy: TanhGaussian, score: Score, num_candidates: int, generator: torch.Generator) -> Tensor:
    """The draw that the critic likes best among `num_candidates`."""
    shape = (num_candidates, *policy.mean.shape)
    candidates = TanhGaussian(policy.mean.expand(shape), policy.log_std.expand(shape)).sample(generator)
    best = score(candidates).argmax(dim=0)
    return candidates[best, torch.arange(best.shape[0], device=best.device)]


ACTION_CHOICES: dict[str, Choice] = {"deterministic": deterministic, "sample": sample, "best_of": best_of}


WITHOUT_CRITIC = ("deterministic", "sample")
"""The choices that ask no critic."""


def action_choice(name: str, *, has_critic: bool) -> Choice:
    """Returns the choice of that name; ValueError with the list of those that the agent can make otherwise."""
    kind, known = ("action choice", ACTION_CHOICES) if has_critic else ("action choice of this agent", WITHOUT_CRITIC)
    if name not in known:
        raise ValueError(suggest(kind, name, known))
    return ACTION_CHOICES[name]
