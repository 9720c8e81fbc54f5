"""How many environment and gradient steps a run takes, and in what order."""

from __future__ import annotations

from dataclasses import dataclass

from deepcrl.train.config import RunConfig


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
    def counter(self) -> str:
        """What the run is counted in, as `Progress.steps` is: `env_steps`, or `grad_steps` where it takes none."""
        return "env_steps" if self.env_steps_per_unroll else "grad_steps"

    @property
    def total_steps(self) -> int:
        return self.total_env_steps or self.total_grad_steps

    @property
    def steps_per_unroll(self) -> int:
        return self.env_steps_per_unroll or self.grad_steps_per_unroll
