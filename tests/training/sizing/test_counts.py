"""One function sizes up the agents of a run, for the table before it and for reports."""

from __future__ import annotations

import pytest
import torch

from deepcrl.core.components import LOSSES
from deepcrl.kernels import dispatch
from deepcrl.training.build import build_run, env_spec
from deepcrl.training.sizing import counts
from deepcrl.training.sizing.counts import agent_sizes

CPU = torch.device("cpu")


def test_parameters_are_those_of_every_network_learners_included(tiny) -> None:
    config = tiny(learners={"deep": {"encoder": {"depth": 8}}}, loss=LOSSES.defaults("infonce_temperature"))
    sizes, run = agent_sizes(config, env_spec(config), CPU), build_run(config)
    assert sizes.parameters == {name: sum(p.numel() for p in net.parameters()) for name, net in run.networks.items()}
    assert sizes.network_bytes == 16 * sum(sizes.parameters.values())


def test_operations_are_counted_where_they_are_asked_for(tiny) -> None:
    config = tiny()
    without, with_them = (agent_sizes(config, env_spec(config), CPU, operations=asked) for asked in (False, True))
    assert (without.flops_per_action, without.flops_per_update) == (None, None)
    assert with_them.flops_per_action
    assert with_them.flops_per_update
    assert (without.parameters, without.step_bytes) == (with_them.parameters, with_them.step_bytes)


def test_the_kernels_of_the_process_stay_chosen(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    config, seen = tiny(kernels="eager"), []
    count = counts.peak_bytes
    monkeypatch.setattr(counts, "peak_bytes", lambda *args: seen.append(dispatch._chosen) or count(*args))
    agent_sizes(config, env_spec(config), CPU)
    assert seen == ["eager"]
    assert dispatch._chosen == "auto"
