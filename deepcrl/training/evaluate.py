"""Evaluation: one episode in each of N environments, scored as the paper does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from deepcrl.core.types import Agent, Step, VectorEnv
from deepcrl.training.interrupt import Interrupt

DISTANCES = ("near", "middle", "far")
"""Thirds of the episodes, by how far away their goal is at the start."""
MIN_SPREAD = 1.25
"""Ratio of the largest distance at the start to the smallest from which goals are said to vary."""


def evaluate_both(agent: Agent, envs: VectorEnv, interrupt: Interrupt | None = None) -> dict[str, float]:
    """Scores the agent by its evaluation choice, `eval/...`, and by that of training, `eval_sampled/...`.

    Both take the same starts and goals. What training draws next is not changed by it.
    """
    before = envs.state_dict()
    with _streams_kept(agent):
        sampled = evaluate(agent, envs, interrupt, explore=True)
    rewind(envs, before)
    return evaluate(agent, envs, interrupt) | sampled


def rewind(envs: VectorEnv, state: dict[str, Any]) -> None:
    """Takes the environments back to an earlier state, but for what they count."""
    num_unstable = envs.num_unstable
    envs.load_state_dict(state)
    envs.num_unstable = num_unstable


@contextmanager
def _streams_kept(agent: Agent) -> Iterator[None]:
    """Leaves an agent's random streams as they were."""
    streams: dict[str, torch.Generator] = getattr(agent, "generators", {})
    states = {name: stream.get_state() for name, stream in streams.items()}
    try:
        yield
    finally:
        for name, state in states.items():
            streams[name].set_state(state)


@torch.no_grad()
def evaluate(
    agent: Agent, envs: VectorEnv, interrupt: Interrupt | None = None, *, explore: bool = False
) -> dict[str, float]:
    """Runs one fresh episode per environment and returns the mean and the standard error of each score.

    `eval/time_at_goal`    steps at the goal before the episode first ends, out of `episode_length` (paper section 4.1)
    `eval/time_at_goal_easy`, `eval/time_at_goal_hard`
                           the same for the task's looser and stricter threshold; only where it has one
    `eval/time_at_goal_near`, `eval/time_at_goal_middle`, `eval/time_at_goal_far`
                           the same for each third of the episodes, by how far away their goal is at the start; only
                           where goals vary
    `eval/success_any`     share of episodes that touched the goal at least once
    `eval/final_distance`  distance to the goal after the episode's last step, in the task's unit
    `eval/episode_length`  steps until the episode ended by a fall or by its time limit
    Standard errors, over episodes, carry the suffix `_stderr`. With `explore` the agent acts as in training, and the
    scores are called `eval_sampled/...`. Raises Interrupted as soon as `interrupt` asks to stop.
    """
    observation = envs.reset()
    device = observation.state.device
    alive = torch.ones(envs.num_envs, dtype=torch.bool, device=device)
    zeros = torch.zeros(envs.num_envs, dtype=torch.float64, device=device)
    length, final_distance = zeros.clone(), zeros
    first_distance = None
    at_goal: dict[str, torch.Tensor] = {}
    for _ in range(envs.episode_length):
        if interrupt is not None:
            interrupt.raise_if_requested()
        step = envs.step(agent.act(observation, explore=explore))
        observation = step.observation
        if first_distance is None:
            first_distance = step.distance.double()
        for name, success in _successes(step):
            at_goal[name] = at_goal.get(name, zeros) + (success & alive)
        length += alive
        final_distance = torch.where(alive, step.distance.double(), final_distance)
        alive &= ~(step.terminated | step.truncated)
        if not alive.any():
            break
    scores = {
        **at_goal,
        "success_any": (at_goal["time_at_goal"] > 0).double(),
        "final_distance": final_distance,
        "episode_length": length,
    }
    assert first_distance is not None
    scores |= _by_distance(at_goal["time_at_goal"], first_distance)
    group = "eval_sampled" if explore else "eval"
    metrics = {}
    for name, values in scores.items():
        metrics[f"{group}/{name}"] = values.mean().item()
        if len(values) > 1:
            metrics[f"{group}/{name}_stderr"] = values.std().item() / math.sqrt(len(values))
    return metrics


def _by_distance(time_at_goal: torch.Tensor, distance: torch.Tensor) -> dict[str, torch.Tensor]:
    """Splits the scores [N] into thirds by distance [N], nearest first; nothing where all goals are equally far."""
    if len(distance) < len(DISTANCES) or distance.max() < MIN_SPREAD * distance.min():
        return {}
    thirds = time_at_goal[distance.argsort(stable=True)].tensor_split(len(DISTANCES))
    return {f"time_at_goal_{name}": third for name, third in zip(DISTANCES, thirds, strict=True)}


def _successes(step: Step) -> list[tuple[str, torch.Tensor]]:
    """The score that counts each threshold's successes, and those of this step, [N] bool."""
    levels = (
        ("time_at_goal", step.success),
        ("time_at_goal_easy", step.success_easy),
        ("time_at_goal_hard", step.success_hard),
    )
    return [(name, success) for name, success in levels if success is not None]
