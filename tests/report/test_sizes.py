"""Sizes of saved runs are shared by runs that differ in nothing that has a size."""

from __future__ import annotations

import pytest
import torch

from deepcrl.core.components import AGENTS, ENERGIES, LOSSES
from deepcrl.report import sizes as module
from deepcrl.report.sizes import sizes
from deepcrl.training.sizing import counts


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
    monkeypatch.setattr(counts, "MAX_BUILT", 0)
    assert sizes(config) == built
    module._sizes.cache_clear()


def test_what_cannot_be_counted_by_shapes_is_not_counted(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks_at_values(logits: torch.Tensor, *, logsumexp_coef: float) -> torch.Tensor:
        return logits.sum() if logits.max() > logsumexp_coef else logits.mean()

    monkeypatch.setattr(counts, "MAX_BUILT", 0)
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
