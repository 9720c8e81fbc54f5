"""How a policy's action is chosen: the names that `agent.exploration` and `agent.evaluation` take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from deepcrl.core.agents.common.acting.policy import Policy
from deepcrl.core.checks import suggest
from deepcrl.core.types import Observation

Value = Callable[[Observation, Tensor], Tensor]
"""(N observations, actions [K, N, A]) -> how good each action is [K, N]: `CriticAgent.value`."""
ActionChoice = Callable[[Policy, Observation, torch.Generator], Tensor]
"""(policy at N observations, the observations, generator) -> actions [N, A]."""


def deterministic(policy: Policy, observation: Observation, generator: torch.Generator) -> Tensor:
    """The mode."""
    del observation, generator
    return policy.mode()


def sample(policy: Policy, observation: Observation, generator: torch.Generator) -> Tensor:
    """One draw."""
    del observation
    return policy.sample(generator)


def best_of(
    policy: Policy, observation: Observation, generator: torch.Generator, *, value: Value, num_candidates: int
) -> Tensor:
    """The draw that the critic values most among `num_candidates`."""
    candidates = policy.sample(generator, num_candidates)
    best = value(observation, candidates).argmax(dim=0)
    return candidates[best, torch.arange(best.shape[0], device=best.device)]


def action_choice(name: str, *, value: Value | None, num_candidates: int) -> ActionChoice:
    """Returns the choice of that name. An agent without a critic, whose `value` is None, cannot make `best_of`.

    Raises ValueError, with the list of those that the agent can make, for any other.
    """
    choices: dict[str, ActionChoice] = {"deterministic": deterministic, "sample": sample}
    if value is not None:
        choices["best_of"] = partial(best_of, value=value, num_candidates=num_candidates)
    if name not in choices:
        raise ValueError(suggest("action choice" if value else "action choice of this agent", name, choices))
    return choices[name]


def as_rows(observation: Observation, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns state [R, S], action [R, A] and goal [R, G]: a row for each of the actions [..., N, A] at N observations.

    What is computed of the rows, [R], takes the actions' leading shape again by `view(action.shape[:-1])`.
    """
    leading = action.shape[:-1]
    state, goal = (x.expand(*leading, -1) for x in (observation.state, observation.goal))
    state, action, goal = (rearrange(x, "... env dim -> (... env) dim") for x in (state, action, goal))
    return state, action, goal
