"""Operations are counted against a count by hand; sizes are shared by runs that differ in nothing that has a size."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepcrl.core.components import AGENTS, ENCODERS, ENERGIES, LOSSES
from deepcrl.train.build import build_agent, env_spec
from deepcrl.train.sizing import counts as module
from deepcrl.train.sizing.counts import sizes
from deepcrl.train.sizing.flops import flops_per_action, flops_per_update

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


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_has_sizes(tiny, name: str) -> None:
    energy = ENERGIES.defaults("iqe" if name == "qrl" else "norm")
    found = sizes(tiny(agent=AGENTS.defaults(name), energy=energy).to_dict())
    assert found is not None
    assert found.nbytes is not None
    assert found.nbytes > 16 * found.parameters > 0
    assert found.flops_per_action
    assert found.flops_per_update
    assert found.flops(10, 3) == 10 * found.flops_per_action + 3 * found.flops_per_update


def test_what_is_not_known_is_none(tiny) -> None:
    config = tiny().to_dict()
    assert sizes(config | {"loss": {"name": "somebody_elses"}}) is None
    older = sizes(config | {"buffer": {"name": "ring", "gone": 3}})
    assert older is not None
    assert (older.nbytes, older.parameters) == (None, sizes(config).parameters)  # pyright: ignore


@pytest.mark.parametrize("name", AGENTS)
def test_large_networks_are_counted_by_their_shapes(tiny, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = ENERGIES.defaults("iqe" if name == "qrl" else "norm")
    config = tiny(agent=AGENTS.defaults(name), energy=energy).to_dict()
    built = sizes(config)
    module._sizes.cache_clear()
    monkeypatch.setattr(module, "MAX_BUILT", 0)
    assert sizes(config) == built
    module._sizes.cache_clear()


def test_what_cannot_be_counted_by_shapes_is_not_counted(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks_at_values(logits: torch.Tensor, *, logsumexp_coef: float) -> torch.Tensor:
        return logits.sum() if logits.max() > logsumexp_coef else logits.mean()

    monkeypatch.setattr(module, "MAX_BUILT", 0)
    monkeypatch.setitem(LOSSES._items, "infonce", looks_at_values)
    module._sizes.cache_clear()
    found = sizes(tiny(loss=LOSSES.defaults("infonce")).to_dict())
    module._sizes.cache_clear()
    assert found is not None
    assert (found.flops_per_update, found.flops(1, 1)) == (None, None)
    assert found.parameters > 100


def test_runs_share_a_computation_unless_it_matters(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    module._sizes.cache_clear()
    agent, functions = AGENTS.defaults("crl") | {"embedding_dim": 8}, ("infonce", "dcl", "fb", "binary_nce")
    for i in range(20):
        loss = LOSSES.defaults(functions[i % 4])
        config = tiny(seed=i, agent=agent | {"critic_lr": 1e-4 * (i + 1)}, total_env_steps=400 + i, loss=loss)
        assert sizes(config.to_dict() | {"device": "cuda", "kernels": "triton", "precision": "tf32"})
    assert module._sizes.cache_info().misses == 1
    assert sizes(tiny(agent=agent, loss=LOSSES.defaults("infonce_temperature")).to_dict())
    assert module._sizes.cache_info().misses == 2, "it owns a parameter"
    wider = sizes(tiny(agent=agent | {"embedding_dim": 16}).to_dict())
    assert module._sizes.cache_info().misses == 3
    assert wider is not None
    assert wider.parameters > sizes(tiny(agent=agent).to_dict()).parameters  # pyright: ignore[reportOptionalMemberAccess]
