"""Parameter counts of runs, from their configurations alone."""

from __future__ import annotations

from typing import Any

import torch

from deepcrl.core.build import build_agent, env_spec
from deepcrl.core.config import RunConfig


def num_parameters(config: dict[str, Any]) -> int | None:
    """Returns the parameters of all networks of a run, built without memory, on PyTorch's `meta` device.

    None if this version cannot build it: a component of a plugin that is not loaded, a setting that is gone.
    """
    meta = torch.device("meta")
    try:
        known = RunConfig.from_dict(config | {"device": "cpu"})  # a run of another machine may name a GPU
        with meta:
            agent = build_agent(known, env_spec(known), meta)
    except (ValueError, KeyError, TypeError):
        return None
    return sum(parameter.numel() for net in agent.networks.values() for parameter in net.parameters())
