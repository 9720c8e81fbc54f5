"""Evaluation: one episode in each of N environments, scored as the paper does."""

from __future__ import annotations

import math

import torch

from deepcrl.core.types import Agent, Step, VectorEnv
from deepcrl.train.interrupt import Interrupt


@torch.no_grad()
def evaluate(agent: Agent, envs: VectorEnv, interrupt: Interrupt | None = None) -> dict[str, float]:
    """Runs one fresh episode per environment and returns the mean and the standard error of each score.

    `eval/time_at_goal`    steps at the goal before the episode first ends, out of `episode_length` (paper section 4.1)
    `eval/time_at_goal_easy`, `eval/time_at_goal_hard`
                           the same for the task's looser and stricter threshold; only where it has one
    `eval/success_any`     share of episodes that touched the goal at least once
    `eval/final_distance`  distance to the goal after the episode's last step, in the task's unit
    `eval/episode_length`  steps until the episode ended by a fall or by its time limit
    Standard errors, over episodes, carry the suffix `_stderr`. Raises Interrupted as soon as `interrupt` asks to stop.
    """
    observation = envs.reset()
    device = observation.state.device
    alive = torch.ones(envs.num_envs, dtype=torch.bool, device=device)
    zeros = torch.zeros(envs.num_envs, dtype=torch.float64, device=device)
    length, final_distance = zeros.clone(), zeros
    at_goal: dict[str, torch.Tensor] = {}
    for _ in range(envs.episode_length):
        if interrupt is not None:
            interrupt.raise_if_requested()
        step = envs.step(agent.act(observation, explore=False))
        observation = step.observation
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
    metrics = {}
    for name, values in scores.items():
        metrics[f"eval/{name}"] = values.mean().item()
        if envs.num_envs > 1:
            metrics[f"eval/{name}_stderr"] = values.std().item() / math.sqrt(envs.num_envs)
    return metrics


def _successes(step: Step) -> list[tuple[str, torch.Tensor]]:
    """The score that counts each threshold's successes, and those of this step, [N] bool."""
    levels = (
        ("time_at_goal", step.success),
        ("time_at_goal_easy", step.success_easy),
        ("time_at_goal_hard", step.success_hard),
    )
    return [(name, success) for name, success in levels if success is not None]
