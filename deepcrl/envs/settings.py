"""What a vector of environments is made from, and what the registry of environments holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from deepcrl.core.checks import at_least, suggest
from deepcrl.core.types import EnvSpec, VectorEnv
from deepcrl.envs.physics.engines import ENGINES
from deepcrl.envs.physics.unstable import UnstableDumps

RESET_POLICIES = ("resample", "fixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvInputs:
    """What a vector of environments is made from, beside its task: the run's settings."""

    num_envs: int
    episode_length: int
    """Control steps after which an episode is truncated."""
    seed: int
    num_threads: int = 0
    """Native threads that step the physics; 0 means all processors. Results do not depend on it."""
    reset: str = "resample"
    """`resample`: every episode draws a new start and goal. `fixed`: each environment keeps its first start and goal
    for ever, as the auto-reset of scaling-crl and JaxGCRL does."""
    physics: str = "mujoco"
    """The engine, of `deepcrl.envs.physics.engines.ENGINES`."""
    device: str = "cpu"
    """Where an engine that has the choice (`mujoco_warp`) runs; `mujoco` is on the CPU. Tensors are on the engine's."""
    unstable: UnstableDumps | None = None
    """Where to dump simulations that become unstable; None: they are only counted."""

    def __post_init__(self) -> None:
        for name, minimum in (("num_envs", 1), ("episode_length", 1), ("seed", 0), ("num_threads", 0)):
            at_least(name, getattr(self, name), minimum)
        if self.reset not in RESET_POLICIES:
            raise ValueError(suggest("reset policy", self.reset, RESET_POLICIES))
        if self.physics not in ENGINES:
            raise ValueError(suggest("physics", self.physics, ENGINES))


class EnvItem(Protocol):
    """What the registry of environments holds: a task, which knows its sizes and holds no simulation.

    `make.vectorize` makes N copies of a GoalTask or GymnasiumTask; any other item brings its own `vectorize`.
    """

    @property
    def spec(self) -> EnvSpec: ...

    @property
    def success_radius(self) -> float | None:
        """The distance to the goal below which a state succeeds, if that is what success means."""
        ...

    @property
    def euclidean(self) -> bool:
        """Whether that distance is the Euclidean one of goals."""
        ...


@runtime_checkable
class Vectorizes(Protocol):
    """An item that makes its own vector."""

    def vectorize(self, inputs: EnvInputs) -> VectorEnv: ...
