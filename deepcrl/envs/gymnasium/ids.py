"""Names of our tasks in Gymnasium: `ant_u_maze` is `gymnasium.make("deepcrl/AntUMaze-v0")`."""

from __future__ import annotations

import inspect

import gymnasium

from deepcrl.core.components import ENVS
from deepcrl.envs.gymnasium.goal_env import EPISODE_LENGTH
from deepcrl.envs.task import GoalTask


def gymnasium_id(name: str) -> str:
    """Returns the id of the task `name` in Gymnasium."""
    return f"deepcrl/{''.join(part[:1].upper() + part[1:] for part in name.split('_'))}-v0"


def register_ids() -> None:
    """Registers every task that Gymnasium does not know yet: ours at import, then those of modules imported later."""
    for name in ENVS:
        item, id = ENVS[name], gymnasium_id(name)
        if inspect.isclass(item) and issubclass(item, GoalTask) and id not in gymnasium.registry:
            gymnasium.register(
                id,
                entry_point="deepcrl.envs.gymnasium.goal_env:GoalEnv",
                vector_entry_point="deepcrl.envs.gymnasium.goal_env:GoalVectorEnv",
                max_episode_steps=EPISODE_LENGTH,
                kwargs={"name": name},
            )
