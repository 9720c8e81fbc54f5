"""Operations against a count by hand, and against that of PyTorch on a whole batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepcrl.core.components import ENCODERS, ENERGIES
from deepcrl.training.build import build_agent, env_spec
from deepcrl.training.sizing.flops import flops_per_action, flops_per_update

CPU = torch.device("cpu")


def products(config: Any, in_dim: int, out_dim: int) -> int:
    """Multiplications of one row through the paper's network, but for those of the first layer."""
    width = config.encoder["width"]
    return config.encoder["depth"] * width**2 + width * out_dim


@pytest.mark.parametrize("depth", [4, 8])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_operations_of_contrastive_rl_by_hand(tiny, depth: int, precision: str) -> None:
    encoder = ENCODERS.defaults("residual_mlp") | {"width": 16, "depth": depth}
    config, batch, dim = tiny(encoder=encoder, precision=precision, kernels="eager"), 32, 8
    spec = env_spec(config)
    actor, sa, g = (products(config, i, o) for i, o in ((6, 4), (6, dim), (2, dim)))
    first = {"actor": 6 * 16, "sa": 6 * 16, "g": 2 * 16}
    # A product forward, one for the weights' gradient, one for the inputs': 2 operations each. First layers need none
    # for their inputs, but in the actor's step, where the critic's weights need none, the action needs it.
    once = 3 * actor + 2 * first["actor"]
    critic = 3 * sa + 2 * first["sa"] + 3 * g + 2 * first["g"]
    through = 2 * sa + 2 * first["sa"]
    pairs = 3 * batch * dim  # the energy's product and two gradients, per row of the batch
    counted = flops_per_update(build_agent(config, spec, CPU), spec, batch)
    assert counted == 2 * batch * (once + critic + through + pairs)
    assert flops_per_action(build_agent(config, spec, CPU), spec) == 2 * (actor + first["actor"])


def test_the_tiny_batches_tell_the_operations_of_a_larger_one(tiny) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from deepcrl.core.types import Batch

    config = tiny(encoder=ENCODERS.defaults("mlp") | {"width": 16}, energy=ENERGIES.defaults("dot"))
    spec = env_spec(config)
    agent = build_agent(config, spec, CPU)
    with FlopCounterMode(display=False) as counter:
        agent.update(Batch(torch.zeros(24, 4), torch.zeros(24, 2), torch.zeros(24, 2)))
    assert flops_per_update(agent, spec, 24) == counter.get_total_flops()
