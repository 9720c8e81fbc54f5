"""`deepcrl.load`: a trained policy in Python, for arrays, for Gymnasium's loop, for scores and films."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepcrl.cli.hydra.words import checked, plain_errors
from deepcrl.cli.saved_run import with_overrides
from deepcrl.core.components import discover
from deepcrl.core.files import write_atomic
from deepcrl.core.types import CriticAgent, EnvSpec, Observation
from deepcrl.envs import make_task
from deepcrl.report.pictures.maps import maps
from deepcrl.run.checkpoint import Checkpoint, find
from deepcrl.run.plots.film import film
from deepcrl.run.policy import policy_of, trained_agent
from deepcrl.training.build import build_envs
from deepcrl.training.config import RunConfig
from deepcrl.training.evaluate import evaluate_both
from deepcrl.training.validate import select_device, validated

Array = np.ndarray | Tensor | list[float]


def load(run: str | Path, *settings: str) -> Policy:
    """Loads the policy of a run directory, of its newest checkpoint, or of one checkpoint.

    `settings` change how it acts and where it is scored: `"agent.evaluation=best_of"`, `"env=ant_u_maze_eval"`. Nothing
    in a checkpoint is executed. Raises ValueError, in one line, for what is no checkpoint or does not fit.
    """
    discover()
    checkpoint = find(Path(run))
    with plain_errors():
        words = checked(settings)
        config = with_overrides(checkpoint.config, words) if words else validated(checkpoint.config)
    return Policy(checkpoint, config)


class Policy:
    """A trained agent. States [N, S], goals [N, G] and actions [N, A] are arrays, tensors or lists, one row or many."""

    def __init__(self, checkpoint: Checkpoint, config: RunConfig) -> None:
        self.config = config
        """All settings of the run, and those that `load` was given."""
        self._checkpoint = checkpoint
        self._agent = trained_agent(checkpoint, config)
        self._task = make_task(config.evaluation_env)

    @property
    def spec(self) -> EnvSpec:
        """The sizes of state and action, and which entries of the state are the goal."""
        return self._task.spec

    def act(self, state: Array, goal: Array, *, sample: bool = False, first: Array | None = None) -> np.ndarray:
        """Returns actions in [-1, 1]: [A] for one state, [N, A] for N.

        With `sample` they are those of training. An agent that plans chunks of actions goes on with its plans, except
        for rows where `first` [N] is true, of a new episode; without `first` it plans anew.
        """
        one, observation = self._observation(state, goal)
        if first is not None:
            first_rows = torch.as_tensor(np.atleast_1d(np.asarray(first)), dtype=torch.bool)
            observation = Observation(observation.state, observation.goal, first_rows)
        with torch.no_grad():
            action = self._agent.act(observation, explore=sample).cpu().numpy()
        return action[0] if one else action

    def act_dict(self, observation: Mapping[str, np.ndarray], *, sample: bool = False) -> np.ndarray:
        """Returns an action for what a Gymnasium goal environment observes, in its own action space.

        `observation`, or that with `achieved_goal` behind it, is the state.
        """
        state, goal = np.asarray(observation["observation"]), np.asarray(observation["desired_goal"])
        if state.shape[-1] != self.spec.state_dim:
            state = np.concatenate([state, np.asarray(observation["achieved_goal"])], axis=-1)
        action = self.act(state, goal, sample=sample)
        to_action_space = getattr(self._task, "to_action_space", None)  # of env=gymnasium; ours are in [-1, 1]
        if to_action_space is not None:
            return np.asarray(to_action_space(torch.as_tensor(np.atleast_2d(action)))).reshape(action.shape)
        return action

    def value(self, state: Array, action: Array, goal: Array) -> np.ndarray | float:
        """Returns how good the critic thinks actions are, [N], or a number for one. ValueError without a critic."""
        if not isinstance(self._agent, CriticAgent):
            raise ValueError(f"agent={self.config.agent['name']} has no critic, so it values no action")
        one, observation = self._observation(state, goal)
        rows = torch.as_tensor(np.asarray(action), dtype=torch.float32).reshape(len(observation.state), -1)
        with torch.no_grad():
            value = self._agent.value(observation, rows.to(observation.state.device)).cpu().numpy()
        return float(value[0]) if one else value

    def evaluate(self, *, episodes: int | None = None) -> dict[str, float]:
        """Returns the scores of `episodes` episodes (`num_eval_envs` of the run): `eval/time_at_goal` and others.

        `eval_sampled/...` are those of the actions of training, with the same starts and goals. The same policy has the
        same scores each time.
        """
        envs = build_envs(self.config, self.config.evaluation_env, episodes or self.config.num_eval_envs, "eval")
        return evaluate_both(self._agent, envs)

    def film(self, path: str | Path, *, episodes: int = 4, steps: int | None = None) -> list[Path]:
        """Films an episode in `episodes` environments side by side, into an .mp4 and a .gif, or a .png of its start.

        Returns the files. Raises RuntimeError where nothing can be drawn.
        """
        return film(policy_of(self._agent), self.config, Path(path), num_tiles=episodes, num_steps=steps)

    def value_map(self, path: str | Path) -> Path:
        """Draws what the critic gives the policy's action at each place of a maze, for the farthest goal, as a PNG.

        Returns the file. Raises ValueError for an agent without a critic, and where the robot is in no maze.
        """
        found = maps(self._checkpoint).get("value_map")
        if found is None:
            raise ValueError(
                f"There is no value map of {self.config.env['name']} with agent={self.config.agent['name']}"
            )
        write_atomic(Path(path), base64.b64decode(found["image"].partition(",")[2]))
        return Path(path)

    def _observation(self, state: Array, goal: Array) -> tuple[bool, Observation]:
        """Returns whether there is one row only, and the rows. Raises ValueError for another size."""
        device = select_device(self.config.device)
        sizes, given = {"state": self.spec.state_dim, "goal": self.spec.goal_dim}, {"state": state, "goal": goal}
        rows = {name: torch.as_tensor(np.asarray(x), dtype=torch.float32) for name, x in given.items()}
        for name, size in sizes.items():
            if rows[name].ndim not in (1, 2) or rows[name].shape[-1] != size:
                shape = list(rows[name].shape)
                raise ValueError(f"{name} has shape {shape}, and {self.config.env['name']} has {size} numbers a row")
        one = rows["state"].ndim == 1
        seen = {name: x.reshape(-1, sizes[name]).to(device) for name, x in rows.items()}
        if len(seen["goal"]) != len(seen["state"]):
            seen["goal"] = seen["goal"].expand(len(seen["state"]), -1)
        return one, Observation(seen["state"], seen["goal"])
