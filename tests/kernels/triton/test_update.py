"""A whole CRL update with `kernels=triton` takes the step that it takes with `kernels=eager`."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from deepcrl.core.agents.common.contrastive_loss import FUSED_ENERGIES
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.crl import CRL
from deepcrl.core.components import ENCODERS, ENERGIES, LOSSES
from deepcrl.core.types import Batch, EnvSpec, Observation
from deepcrl.kernels import dispatch
from deepcrl.kernels.triton.infonce import MAX_DIM
from tests.kernels.triton.conftest import DEVICE

SPEC = EnvSpec(state_dim=5, action_dim=3, goal_indices=(0, 1))
# Largest relative error of a metric. fp32: rounding through 8 layers, as in test_trunk.py; bf16: a few of its units.
TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2}


def make_agent(
    monkeypatch, kernels: str, precision: str, *, energy: str = "norm", loss: str = "infonce", embedding_dim: int = 8
) -> CRL:
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    dispatch.choose(kernels)
    encoder = partial(ENCODERS.build, {"name": "residual_mlp", "depth": 8, "width": 32})
    critic = ENERGIES.build({"name": energy}), LOSSES.build({"name": loss, "logsumexp_coef": 0.2})
    fused = partial(dispatch.fused_infonce, 17, DEVICE)
    inputs = AgentInputs(SPEC, encoder, encoder, encoder, *critic, DEVICE, precision, seed=0, fused_infonce=fused)
    return CRL(inputs, embedding_dim=embedding_dim)


def make_batch(seed: int) -> Batch:
    draws = torch.Generator().manual_seed(seed)
    state, action, goal = (torch.randn(17, size, generator=draws).to(DEVICE) for size in (5, 3, 2))
    return Batch(state, action.tanh(), goal)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_takes_the_eager_step(monkeypatch, precision):
    def run(kernels):
        agent = make_agent(monkeypatch, kernels, precision)
        metrics = [agent.update(make_batch(seed)) for seed in range(3)]
        return agent, metrics

    (ours, got), (theirs, want) = run("triton"), run("eager")
    for mine, reference in zip(got, want, strict=True):
        assert mine.keys() == reference.keys()
        for name, value in mine.items():
            tolerance = TOLERANCE[precision]
            torch.testing.assert_close(value, reference[name], rtol=tolerance, atol=tolerance, msg=name)
    for name, net in ours.networks.items():
        for mine, reference in zip(net.parameters(), theirs.networks[name].parameters(), strict=True):
            # Adam's steps have the size lr = 3e-4 whatever the gradient: 3 of them, apart by rounding
            error = (mine - reference).abs()
            assert error.mean() < (1e-6 if precision == "fp32" else 1e-4), name
            assert error.max() <= 2 * 3 * 3.1e-4, name


def test_acts_as_eager_does(monkeypatch):
    observation = Observation(torch.randn(7, 5, device=DEVICE), torch.randn(7, 2, device=DEVICE))
    actions = [make_agent(monkeypatch, name, "fp32").act(observation, explore=False) for name in ("triton", "eager")]
    torch.testing.assert_close(*actions, rtol=1e-5, atol=1e-5)


def _writes_logits(monkeypatch, agent: CRL) -> bool:
    """Whether an update asks the energy for the logits [B, B]."""
    energy, asked = agent._critics[0].energy, []
    pairwise = energy.pairwise
    monkeypatch.setattr(energy, "pairwise", lambda *args: asked.append(True) or pairwise(*args))
    agent.update(make_batch(0))
    return bool(asked)


@pytest.mark.parametrize("energy", list(FUSED_ENERGIES.values()))
def test_infonce_never_writes_the_logits(monkeypatch, energy):
    ours, theirs = (make_agent(monkeypatch, kernels, "fp32", energy=energy) for kernels in ("triton", "eager"))
    assert not _writes_logits(monkeypatch, make_agent(monkeypatch, "triton", "fp32", energy=energy))
    got = ours.update(make_batch(0))
    dispatch.choose("eager")
    want = theirs.update(make_batch(0))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    assert _writes_logits(monkeypatch, theirs)


@pytest.mark.parametrize(("energy", "loss"), [("scaled_dot", "infonce"), ("norm", "symmetric_infonce")])
def test_what_the_fused_loss_does_not_know_goes_through_the_logits(monkeypatch, energy, loss):
    assert _writes_logits(monkeypatch, make_agent(monkeypatch, "triton", "fp32", energy=energy, loss=loss))


def test_wide_embeddings_go_through_the_logits(monkeypatch):
    for embedding_dim, writes in ((MAX_DIM, False), (MAX_DIM + 1, True)):
        agent = make_agent(monkeypatch, "triton", "fp32", embedding_dim=embedding_dim)
        assert _writes_logits(monkeypatch, agent) == writes
