"""A Gymnasium environment of our own, registered as `test/Walk-v0`, and how tests build and drive such environments."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict

from deepcrl.envs import make_envs
from deepcrl.envs.gymnasium.vector import GymnasiumVectorEnv

ID = "test/Walk-v0"


class Walk(gymnasium.Env):
    """A point on a line that starts at a random place; beyond 1 the episode ends, and `drift` ignores the seed.

    Its picture is 20 pixels high and 10 wide, and as red as it is far to the right.
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}  # pyright: ignore

    action_space = Box(0.0, 2.0, (1,))
    observation_space = Dict({key: Box(-9, 9, (1,)) for key in ("observation", "achieved_goal", "desired_goal")})

    def __init__(self, drift: bool = False, broken: bool = False, render_mode: str | None = None) -> None:
        self.drift, self.broken, self.render_mode = drift, broken, render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-0.5, 0.5) + (np.random.uniform() if self.drift else 0.0)
        self.goal = self.np_random.uniform(-1, 1)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.x += 0.1 * (action[0] - 1)
        if self.broken and self.x > 0.6:
            self.x = np.nan
        return self._seen(), 0.0, bool(abs(self.x) > 1), False, {"success": bool(abs(self.x - self.goal) < 0.1)}

    def render(self) -> Any:
        if self.drift:
            raise gymnasium.error.DependencyNotInstalled("a package is\nmissing")
        assert self.render_mode == "rgb_array"
        return np.full((20, 10, 3), (redness(self.x), 0, 0), dtype=np.uint8)

    def _seen(self) -> dict[str, np.ndarray]:
        values = {"observation": 2 * self.x, "achieved_goal": self.x, "desired_goal": self.goal}
        return {key: np.array([value], dtype=np.float32) for key, value in values.items()}


def redness(x: float) -> int:
    return round(100 + 50 * x)


def build(
    id: str, *, num_envs: int = 4, episode_length: int = 30, seed: int = 0, reset: str = "resample", **hyper: Any
):
    env = {"name": "gymnasium", "id": id, **hyper}
    envs = make_envs(env, num_envs=num_envs, episode_length=episode_length, seed=seed, reset=reset)
    assert isinstance(envs, GymnasiumVectorEnv)
    return envs


def acts(envs: GymnasiumVectorEnv, steps: int) -> torch.Tensor:
    """The same random actions [steps, N, A] every time."""
    generator = torch.Generator().manual_seed(3)
    return 2 * torch.rand(steps, envs.num_envs, envs.spec.action_dim, generator=generator) - 1
