"""How many environment and gradient steps a run takes, in what order, and by which of the two its progress is counted.

A run that collects is counted in environment steps, an offline one in gradient steps. `Schedule.offline` decides it
from the settings, `counter_of` from what a run has logged; nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deepcrl.training.config import RunConfig


def counter_of(rows: Iterable[Mapping[str, float]]) -> str:
    """Returns what the run that logged `rows` is counted in: `env_steps`, or `grad_steps` if it never took one."""
    return "env_steps" if any(row["env_steps"] for row in rows) else "grad_steps"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a config's numbers come to (released code: train.py:577-600)."""

    env_steps_per_unroll: int
    prefill_unrolls: int
    training_unrolls: int
    grad_steps_per_unroll: int

    @classmethod
    def of(cls, config: RunConfig) -> Schedule:
        """Derives the schedule; ValueError if the total leaves nothing after the prefill."""
        if config.offline:
            return cls._offline(config)
        per_unroll = config.num_envs * config.unroll_length
        prefill = -(-config.prefill_steps // config.unroll_length)
        training = config.total_env_steps // per_unroll - prefill
        if training < 1:
            raise ValueError(
                f"total_env_steps={config.total_env_steps} ends before the first gradient step: the prefill takes "
                f"{prefill} unrolls of {per_unroll} env steps, so at least {(prefill + 1) * per_unroll} are needed"
            )
        return cls(per_unroll, prefill, training, config.grad_steps_per_unroll)

    @classmethod
    def _offline(cls, config: RunConfig) -> Schedule:
        """Rounds of gradient steps, with no environment step between them."""
        rounds = config.total_grad_steps // config.grad_steps_per_unroll
        if rounds < 1:
            raise ValueError(
                f"total_grad_steps={config.total_grad_steps} is less than one round of "
                f"grad_steps_per_unroll={config.grad_steps_per_unroll}"
            )
        return cls(0, 0, rounds, config.grad_steps_per_unroll)

    @property
    def total_env_steps(self) -> int:
        return (self.prefill_unrolls + self.training_unrolls) * self.env_steps_per_unroll

    @property
    def total_grad_steps(self) -> int:
        return self.training_unrolls * self.grad_steps_per_unroll

    @property
    def offline(self) -> bool:
        """Whether the run takes no environment steps: its buffer holds all its data from the start."""
        return self.env_steps_per_unroll == 0

    @property
    def counter(self) -> str:
        """What the run is counted in: `env_steps` or `grad_steps`."""
        return "grad_steps" if self.offline else "env_steps"

    def steps(self, env_steps: int, grad_steps: int) -> int:
        """Returns the one of two numbers of steps that this run is counted in."""
        return grad_steps if self.offline else env_steps

    @property
    def total_steps(self) -> int:
        return self.steps(self.total_env_steps, self.total_grad_steps)

    @property
    def steps_per_unroll(self) -> int:
        return self.steps(self.env_steps_per_unroll, self.grad_steps_per_unroll)
