"""Sizes of runs, from their configurations alone: parameters, memory, operations."""

from __future__ import annotations

import inspect
import json
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from deepcrl.core.components import LOSSES
from deepcrl.core.types import EnvSpec
from deepcrl.train.build import build_agent, env_spec
from deepcrl.train.config import GROUPS, OPTIONAL_GROUPS, RunConfig
from deepcrl.train.sizing.dry_run import counted_without_memory
from deepcrl.train.sizing.flops import flops_per_action, flops_per_update
from deepcrl.train.sizing.table import preflight
from deepcrl.train.validate import validated

MAX_BUILT = 5_000_000
"""Parameters beyond which networks are not built to count their operations, but traced by their shapes alone."""
COEFFICIENTS_IN = ("agent", "energy", "loss", "relabel")
"""Groups whose floats weigh or scale something, and change no size."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a run of some configuration takes."""

    parameters: int
    nbytes: int | None
    """Of memory: ring, networks, gradients, optimiser and activations, as they are planned before training."""
    flops_per_action: float | None
    flops_per_update: float | None
    """None where they were not counted."""

    def flops(self, env_steps: float | None, grad_steps: float | None) -> float | None:
        """Returns the operations of acting and learning so far."""
        if self.flops_per_action is None or self.flops_per_update is None or env_steps is None or grad_steps is None:
            return None
        return self.flops_per_action * env_steps + self.flops_per_update * grad_steps


def sizes(config: dict[str, Any]) -> Sizes | None:
    """Returns the sizes of a run; runs that differ in nothing that has a size share one computation.

    That is seeds, coefficients, budgets, and losses without parameters, whose operations are all elementwise.

    None if this version cannot build it: a component of a plugin that is not loaded, a setting that is gone.
    """
    here = {"device": "cpu", "kernels": "eager", "cuda_graph": False}  # a run of another machine may name a GPU
    if config.get("precision") == "tf32":
        here["precision"] = "fp32"
    wanted = {key: value for key, value in config.items() if key in (*GROUPS, *OPTIONAL_GROUPS)} | here
    for group in COEFFICIENTS_IN:
        if isinstance(wanted.get(group), dict):
            wanted[group] = {key: value for key, value in wanted[group].items() if not isinstance(value, float)}
    wanted |= {key: config[key] for key in ("num_envs", "batch_size", "reset", "unroll_length", "prefill_steps")}
    try:
        if not inspect.isclass(LOSSES[wanted["loss"]["name"]]):
            wanted["loss"] = {"name": "infonce"}
        return _sizes(json.dumps(wanted, sort_keys=True, default=str))
    except (ValueError, KeyError, TypeError):
        return None


@cache
def _sizes(text: str) -> Sizes:
    config = validated(json.loads(text))
    spec, cpu, meta = env_spec(config), torch.device("cpu"), torch.device("meta")
    with meta:  # without memory
        networks = build_agent(config, spec, meta).networks
    parameters = sum(parameter.numel() for net in networks.values() for parameter in net.parameters())
    nbytes = _planned_bytes(config, spec)
    try:
        with counted_without_memory() if parameters > MAX_BUILT else nullcontext():
            agent = build_agent(config, spec, cpu)
            action = flops_per_action(agent, spec)
            return Sizes(parameters, nbytes, action, flops_per_update(agent, spec, config.batch_size))
    except RuntimeError:  # something looks at the values of tensors
        return Sizes(parameters, nbytes, None, None)


def _planned_bytes(config: RunConfig, spec: EnvSpec) -> int | None:
    """None for a buffer of an older version."""
    try:
        planned = preflight(config, spec, torch.device("cpu"))
        return planned.total_bytes - planned.process_bytes  # which is that of the report, not of the run
    except (ValueError, KeyError, TypeError):
        return None
