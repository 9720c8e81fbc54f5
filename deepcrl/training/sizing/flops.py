"""Floating point operations of matrix products, counted as PyTorch runs them: what a gradient step and an action cost.

A product of [B, N] and [N, M] counts as 2 B N M operations; everything elementwise is left out, as is usual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from deepcrl.core.types import Agent, EnvSpec, FutureBatch, Futures, Observation
from deepcrl.kernels.trunk import TRUNK_FLOPS

NUM_UPDATES = 2
"""Updates that are averaged: some agents move their actor at every other one."""


def flops_per_action(agent: Agent, spec: EnvSpec) -> int:
    """Returns the operations of one exploring action."""
    return _counted(lambda: agent.act(_observation(1, spec), explore=True))


def flops_per_update(agent: Agent, spec: EnvSpec, batch_size: int, futures: Futures | None = None) -> float:
    """Returns the operations of a gradient step on `batch_size` transitions, counted on tiny batches.

    A network's operations grow with the batch, those of a pairwise energy with its square, so counts at two batch sizes
    give both coefficients. `futures` is what the agent's batches hold. The agent's weights are changed.
    """
    needs = futures or Futures()
    two, four = (_counted(lambda size=size: _update(agent, spec, size, needs)) / NUM_UPDATES for size in (2, 4))
    square = (four / 4 - two / 2) / 2
    return (two / 2 - 2 * square) * batch_size + square * batch_size**2


def _counted(run: Callable[[], Any]) -> int:
    from torch.utils.flop_counter import FlopCounterMode  # which imports Triton

    with FlopCounterMode(display=False, custom_mapping=TRUNK_FLOPS) as counter:
        run()
    return counter.get_total_flops()


def _observation(num: int, spec: EnvSpec) -> Observation:
    return Observation(torch.zeros(num, spec.state_dim), torch.zeros(num, spec.goal_dim))


def _update(agent: Agent, spec: EnvSpec, size: int, futures: Futures) -> None:
    seen, action = _observation(size, spec), torch.zeros(size, spec.action_dim)
    never = torch.zeros(size, dtype=torch.bool)
    batch = FutureBatch(  # which has what any agent may need
        seen.state,
        action,
        seen.goal,
        next_state=seen.state,
        next_achieved=seen.goal,
        terminated=never,
        steps_left=torch.ones(size, dtype=torch.int64),
        fell=never,
        next_actions=action[:, None].expand(-1, futures.chunk - 1, -1),
        achieved_ahead=seen.goal[:, None].expand(-1, futures.window, -1),
    )
    for _ in range(NUM_UPDATES):
        agent.update(batch)
