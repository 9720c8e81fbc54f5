"""Whether the settings of a run make sense, each by itself and beside the others: asked before anything is built."""

from __future__ import annotations

import math
import os
from typing import Any

import torch

from deepcrl.core.checks import about, at_least, at_most, shown, suggest
from deepcrl.envs.physics.engines import ENGINES
from deepcrl.envs.settings import RESET_POLICIES
from deepcrl.kernels.dispatch import KERNELS
from deepcrl.training.config import GROUPS, OPTIONAL_GROUPS, RunConfig
from deepcrl.training.schedule import Schedule

PRECISIONS = ("auto", "fp32", "bf16", "tf32")
MAX_THREADS = 256
"""On any machine; more only on one with so many cores. A process that asks for too many can start none at all."""
MAX_COUNT = 2**31 - 1
"""Steps are kept as int32."""
MAX_NUMBER = 2**63 - 1
"""Of any whole number: PyTorch, NumPy and what reads a run's files hold no larger ones."""
METRIC_GROUPS = ("train", "critic", "actor", "buffer", "blocks", "env", "eval", "eval_sampled", "time")


def validated(values: dict[str, Any]) -> RunConfig:
    """Returns the config of these settings; ValueError, in one line, for the first that makes no sense."""
    config = RunConfig.from_dict(values)
    validate(config)
    return config


def validate(config: RunConfig) -> None:
    """Raises ValueError, in one line, for the first setting that makes no sense by itself or beside another."""
    for name in ("num_envs", "unroll_length", "batch_size", "num_eval_envs", "keep_checkpoints"):
        at_least(name, getattr(config, name), 1)
    for name, value in vars(config).items():
        if isinstance(value, int):
            at_most(name, value, MAX_NUMBER)
    at_least("episode_length", config.episode_length, 2)  # shorter ones hold no later state to be a goal
    for name in ("total_env_steps", "total_grad_steps", "eval_every", "checkpoint_every", "grad_steps_per_unroll"):
        at_least(name, getattr(config, name), 1)
    at_least("prefill_steps", config.prefill_steps, 2)
    at_least("num_threads", config.num_threads, 0)
    at_most("num_threads", config.num_threads, max(MAX_THREADS, 4 * (os.cpu_count() or 1)))
    at_most("episode_length", config.episode_length, MAX_COUNT)
    at_least("lr_warmup_steps", config.lr_warmup_steps, 0)
    if not 0 <= config.gradient_clip < math.inf:
        raise ValueError(f"gradient_clip must be a norm, or 0 for none, got {config.gradient_clip}")
    at_least("seed", config.seed, 0)
    if config.batch_size < 2:
        raise ValueError(f"batch_size must be at least 2, got {config.batch_size}: one pair has no negatives")
    repeat = config.buffer.get("repeat", 1)
    if isinstance(repeat, int) and repeat > config.batch_size:
        raise ValueError(f"buffer.repeat={repeat} steps of a trajectory do not fit into batch_size={config.batch_size}")
    if config.precision not in PRECISIONS:
        raise ValueError(suggest("precision", config.precision, PRECISIONS))
    if config.reset not in RESET_POLICIES:
        raise ValueError(suggest("reset policy", config.reset, RESET_POLICIES))
    if config.kernels not in KERNELS:
        raise ValueError(suggest("kernels", config.kernels, KERNELS))
    if config.physics not in ENGINES:
        raise ValueError(suggest("physics", config.physics, ENGINES))
    capacity = config.buffer.get("capacity")
    if capacity is not None and config.unroll_length > capacity:
        raise ValueError(f"unroll_length={config.unroll_length} is longer than the ring: buffer.capacity={capacity}")
    if capacity is not None and config.prefill_steps > capacity:
        raise ValueError(f"prefill_steps={config.prefill_steps} does not fit in the ring: buffer.capacity={capacity}")
    if config.buffer.get("sampling") == "paper":
        _check_windows(config)
    for group in (*GROUPS, *OPTIONAL_GROUPS):
        for name, value in (getattr(config, group) or {}).items():
            if isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
                raise ValueError(f"{group}.{name} must be at most {MAX_NUMBER}, got {shown(value)}")
            if isinstance(value, float) and not math.isfinite(value):  # NaN passes most comparisons
                raise ValueError(f"{group}.{name} must be a finite number, got {value}")
    if config.log_blocks and config.cuda_graph:
        raise ValueError("log_blocks=true looks into a gradient step, which cuda_graph=true replays unseen; choose one")
    for name in config.learners:
        if not name.isidentifier() or name in METRIC_GROUPS:
            raise ValueError(f"A learner cannot be called {name!r}: its name comes before those of its metrics")
        learner = config.learner(name)
        with about(f"learner {name!r}"):
            validate(learner)
    select_device(config.device)
    Schedule.of(config)


def _check_windows(config: RunConfig) -> None:
    """Raises ValueError if the prefill is no longer than a window, or a batch larger than all windows."""
    window = config.episode_length
    what = f"buffer.sampling=paper draws windows of episode_length={window} steps"
    prefill = -(-config.prefill_steps // config.unroll_length) * config.unroll_length
    if prefill <= window:
        raise ValueError(
            f"{what}: prefill_steps={config.prefill_steps} is {prefill} in whole unrolls; use {window + 1}"
        )
    if config.batch_size > config.num_envs * (window - 1):
        raise ValueError(
            f"{what}, one of each of {config.num_envs} environments: they hold {config.num_envs * (window - 1)} "
            f"transitions, fewer than batch_size={config.batch_size}"
        )


def select_device(name: str) -> torch.device:
    """Returns the device of that name; `auto` is the GPU where there is one. ValueError if it is not available."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(suggest("device", name, ("auto", "cpu", "cuda"))) from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(suggest("device", name, ("auto", "cpu", "cuda")))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={name}, but this PyTorch sees no GPU; use device=cpu or device=auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={name}, but this machine has {torch.cuda.device_count()} GPUs, counted from cuda:0")
    return device
