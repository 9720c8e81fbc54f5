"""What a ring stores of each step, how a transition is read of it, and the shares of a batch that get other goals than
their own future's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.types import TransitionBatch

Layout = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""Shape and type of a row of each column, by name."""


def column_layout(inputs: BufferInputs, commanded_goals: float) -> Layout:
    """Shape and type of a row of each column, [N, .]."""
    spec, num = inputs.spec, inputs.num_envs
    layout = {
        "state": ((num, spec.state_dim), torch.float32),
        "action": ((num, spec.action_dim), torch.float32),
        "traj_id": ((num,), torch.int32),
    }
    if inputs.transitions or inputs.futures:
        layout |= {"next_achieved": ((num, spec.goal_dim), torch.float32), "terminated": ((num,), torch.bool)}
    if commanded_goals:
        layout["commanded"] = ((num, spec.goal_dim), torch.float32)
    return layout


def read_transitions(column: Callable[[str], Tensor], address: Tensor, goal: Tensor, num_envs: int) -> TransitionBatch:
    """Returns the transitions at `address` [B] with goals [B, G]; `column` returns one [L N, ...], by address."""
    state, terminated = column("state"), column("terminated")[address]
    return TransitionBatch(
        state=state[address],
        action=column("action")[address],
        goal=goal,
        next_state=state[(address + ~terminated * num_envs) % len(state)],
        next_achieved=column("next_achieved")[address],
        terminated=terminated,
    )


def check_shares(random_goals: float, commanded_goals: float, transitions: bool) -> None:
    """Raises ValueError for shares that are none, or that an agent without `transitions` has no use for."""
    for name, share in (("random_goals", random_goals), ("commanded_goals", commanded_goals)):
        if not 0 <= share <= 1:
            raise ValueError(f"buffer.{name} is a share between 0 and 1, got {share}")
        if share and not transitions:
            raise ValueError(f"buffer.{name}={share} is for an agent that learns from transitions, which this is not")
    if random_goals + commanded_goals > 1:
        raise ValueError(f"buffer.random_goals={random_goals} and commanded_goals={commanded_goals} exceed 1 together")
