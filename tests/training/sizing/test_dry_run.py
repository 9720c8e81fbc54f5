"""Memory counted on tensors without data, against what PyTorch's allocator hands out in real gradient steps."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile

from deepcrl.core.components import AGENTS, ENCODERS, LOSSES
from deepcrl.core.types import Observation, Step
from deepcrl.kernels import dispatch
from deepcrl.nets.residual_mlp import ResidualMLP
from deepcrl.training.build import build_agent, build_buffer, env_spec
from deepcrl.training.sizing import dry_run
from deepcrl.training.sizing.counts import HEAP_OVERHEAD
from deepcrl.training.sizing.dry_run import CountBytes, TooManyCallsError, counted_without_memory, peak_bytes
from deepcrl.training.sizing.table import preflight

CPU = torch.device("cpu")


def allocated_at_most(config, tmp_path: Path) -> int:
    """Returns the peak of the bytes held from the allocator while a run is built and takes two gradient steps."""
    spec = env_spec(config)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        agent, ring = build_agent(config, spec, CPU), build_buffer(config, spec, CPU)
        for _ in range(3):
            observation = Observation(torch.randn(4, spec.state_dim), torch.randn(4, spec.goal_dim))
            no, first = torch.zeros(4, dtype=torch.bool), torch.zeros(4, dtype=torch.int64)
            step = Step(observation, observation.state, torch.zeros(4), no, no, no, first)
            ring.insert(observation, torch.rand(4, spec.action_dim), step)
        for _ in range(2):
            agent.update(ring.sample(config.batch_size))
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    memory = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]")
    return max(itertools.accumulate(change for _, change in memory))


@pytest.mark.parametrize("kernels", ["auto", "eager"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("checkpoint_blocks", [0, 2])
def test_predicts_what_the_allocator_hands_out(tiny, tmp_path, monkeypatch, kernels, precision, checkpoint_blocks):
    encoder = {"name": "residual_mlp", "depth": 32, "width": 64, "checkpoint_blocks": checkpoint_blocks}
    config = tiny(encoder=encoder, batch_size=256, precision=precision, kernels=kernels)
    monkeypatch.setattr(dispatch, "_chosen", kernels)
    spec, allocated = env_spec(config), allocated_at_most(config, tmp_path)
    sizes = preflight(config, spec, CPU)
    assert sizes.ring_bytes + peak_bytes(config, spec) == pytest.approx(allocated, rel=0.05)
    assert sizes.step_bytes is not None
    assert sizes.step_bytes > 0.2 * allocated  # activations matter here
    predicted = sizes.ring_bytes + sizes.network_bytes + sizes.step_bytes
    assert predicted == pytest.approx((1 + HEAP_OVERHEAD) * allocated, rel=0.05)  # the ring is small


def test_a_loss_is_not_run_before_the_run(tiny, monkeypatch):
    def fails(logits, *, logsumexp_coef):
        raise AssertionError

    monkeypatch.setitem(LOSSES._items, "dcl", fails)
    config = tiny(loss=LOSSES.defaults("dcl"))
    with pytest.raises(AssertionError):
        LOSSES.build(config.loss)(torch.zeros(2, 2))
    assert preflight(config, env_spec(config), CPU).step_bytes


@pytest.mark.parametrize("name", ENCODERS)
def test_steps_of_every_encoder_are_predicted(tiny, name):
    config = tiny(encoder=ENCODERS.defaults(name) | {"depth": 8, "width": 16})
    deeper = tiny(encoder=ENCODERS.defaults(name) | {"depth": 16, "width": 16})
    assert 0 < peak_bytes(config, env_spec(config)) < peak_bytes(deeper, env_spec(deeper))


@pytest.mark.parametrize(
    "settings",
    [
        {"agent": AGENTS.defaults("sac"), "precision": "bf16"},
        {"agent": AGENTS.defaults("qrl"), "encoder": ENCODERS.defaults("bro")},
        {"agent": AGENTS.defaults("crl_td"), "encoder": ENCODERS.defaults("simba"), "lr_warmup_steps": 3},
        {"gradient_clip": 1.0, "encoder": ENCODERS.defaults("residual_mlp") | {"checkpoint_blocks": 1}},
    ],
    ids=str,
)
def test_counts_what_pytorch_s_own_tensors_without_data_would(tiny, monkeypatch, settings):
    config = tiny(**settings)
    counted = peak_bytes(config, env_spec(config))
    monkeypatch.setattr(dry_run, "ShapesOnly", FakeTensorMode)
    monkeypatch.setattr(dry_run, "without_the_compiler", contextlib.nullcontext)
    assert counted == peak_bytes(config, env_spec(config)) > 0


def test_learners_count_with_whatever_loss_they_have(tiny):
    long_ring = {"buffer": {"name": "ring", "capacity": 3000}, "prefill_steps": 2000, "total_env_steps": 10_000}
    alone = tiny(loss=LOSSES.defaults("infonce_temperature"), **long_ring)
    learners = {"a": {"loss": {"initial_temperature": 0.5}}, "b": {"energy": {"name": "dot"}}}
    watched = dataclasses.replace(alone, learners=learners)
    one, three = (peak_bytes(config, env_spec(config)) for config in (alone, watched))
    # Activations of one are gone before the next takes its step: what adds up is weights, gradients and Adam's moments
    parameters = preflight(watched, env_spec(watched), CPU).parameters
    of_learners = 16 * sum(count for name, count in parameters.items() if "/" in name)
    assert three - one == pytest.approx(of_learners, rel=0.1)


def test_what_cannot_be_predicted_is_said(tiny, monkeypatch):
    monkeypatch.setattr(ResidualMLP, "forward", lambda self, x: self.head(self._first(x)) * x.sum().item())
    sizes = preflight(tiny(), env_spec(tiny()), CPU)
    assert sizes.step_bytes is None
    assert ("", "?", "activations: not predicted for many calls per layer, or what needs real tensors") in sizes.rows()
    sizes.check()


def test_gives_up_where_counting_would_take_long(tiny):
    """A prediction must not make the start of a deep run slow: the trunk is one call at any depth, others are not."""
    deep = {"depth": 512, "width": 16}
    trunk, layers = (tiny(encoder=ENCODERS.defaults(name) | deep) for name in ("residual_mlp", "bro"))
    assert preflight(trunk, env_spec(trunk), CPU).step_bytes
    assert preflight(layers, env_spec(layers), CPU).step_bytes is None
    with pytest.raises(TooManyCallsError):
        peak_bytes(layers, env_spec(layers))


def test_counts_what_is_alive_and_the_most_there_was():
    with CountBytes() as count:
        kept = torch.zeros(1000)
        view = kept[:10]
        assert count.live == 4000
        temporary = torch.zeros(500, dtype=torch.float64)
        assert count.live == 8000
        del temporary, view
        assert (count.live, count.peak) == (4000, 8000)
        del kept
    assert count.live == 0


def test_takes_no_memory():
    with counted_without_memory() as count:
        tensor = torch.ones(2**40).square()
    assert tensor.shape == (2**40,)
    assert count.peak == 2 * 4 * 2**40
