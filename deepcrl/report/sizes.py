"""Sizes of saved runs, from their configurations alone: parameters, memory, operations."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

from deepcrl.core.components import LOSSES
from deepcrl.core.types import EnvSpec
from deepcrl.report.check import UNBUILDABLE, names_module
from deepcrl.training.build import build_buffer, env_spec
from deepcrl.training.config import GROUPS, OPTIONAL_GROUPS, RunConfig
from deepcrl.training.sizing.counts import agent_sizes
from deepcrl.training.validate import validated

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

    None if this version cannot build it (a component of a plugin that is not loaded, a setting that is gone), or if
    that would import a module that the run names.
    """
    if names_module(config):
        return None
    here = {"device": "cpu", "kernels": "eager", "cuda_graph": False}  # a run of another machine may name a GPU
    if config.get("precision") == "tf32":
        here["precision"] = "fp32"
    wanted = {key: value for key, value in config.items() if key in (*GROUPS, *OPTIONAL_GROUPS)} | here
    for group in COEFFICIENTS_IN:
        if isinstance(wanted.get(group), dict):
            wanted[group] = {key: value for key, value in wanted[group].items() if not isinstance(value, float)}
    try:
        wanted |= {key: config[key] for key in ("num_envs", "batch_size", "reset", "unroll_length", "prefill_steps")}
        if not inspect.isclass(LOSSES[wanted["loss"]["name"]]):
            wanted["loss"] = {"name": "infonce"}
        return _sizes(json.dumps(wanted, sort_keys=True, default=str))
    except UNBUILDABLE:
        return None


@cache
def _sizes(text: str) -> Sizes:
    config = validated(json.loads(text))
    spec = env_spec(config)
    ring_bytes = _ring_bytes(config, spec)
    if ring_bytes is None:  # what the agents take does not depend on it
        config = replace(config, relabel={"name": "geometric"})
    of_agent = agent_sizes(config, spec, torch.device("cpu"), operations=True)
    nbytes = None if ring_bytes is None else ring_bytes + of_agent.network_bytes + (of_agent.step_bytes or 0)
    return Sizes(sum(of_agent.parameters.values()), nbytes, of_agent.flops_per_action, of_agent.flops_per_update)


def _ring_bytes(config: RunConfig, spec: EnvSpec) -> int | None:
    """None for a buffer or a relabelling of an older version."""
    try:
        return build_buffer(config, spec, torch.device("meta")).nbytes
    except (ValueError, KeyError, TypeError):
        return None
