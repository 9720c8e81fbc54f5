"""The memory of simulations, before there is one."""

from __future__ import annotations

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
import mujoco

from deepcrl.envs.gymnasium.task import GymnasiumTask
from deepcrl.envs.make import make_task
from deepcrl.envs.task import GoalTask
from deepcrl.training.config import RunConfig

DATA_COPIES = 3
"""State and bound fields of a simulation, and the copies of a step, in the sizes of a MjData: 2.8 for 8,192 ants."""
LIBRARIES = 176 * 2**20
"""What is loaded and kept once, however many simulations there are: 167 MiB with 128 ants."""
GYMNASIUM_COPY = 2**20
"""An environment of Gymnasium in Python; what it holds besides is not known."""


def simulation_bytes(config: RunConfig) -> int:
    """Returns what the training and evaluation environments of a run take at most, in bytes."""
    num = 0 if config.offline else config.num_envs
    train = simulation_bytes_each(config, config.env) * num if num else 0
    return LIBRARIES + train + simulation_bytes_each(config, config.evaluation_env) * config.num_eval_envs


def simulation_bytes_each(config: RunConfig, env: dict[str, object]) -> int:
    """Returns what one environment of a run takes at most, in bytes."""
    task = make_task(env)
    if isinstance(task, GoalTask):
        return DATA_COPIES * int(mujoco.MjData(task.model).nbuffer)
    kept_actions = 4 * config.episode_length * task.spec.action_dim if isinstance(task, GymnasiumTask) else 0
    return GYMNASIUM_COPY + kept_actions
