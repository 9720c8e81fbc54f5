"""Replayed updates are the agent's own, on each batch; the capture itself is replaced where there is no GPU."""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from deepcrl.core.agents.common.cuda_graph import WARM_UP_STEPS, CudaCapture, CudaGraphAgent, with_cuda_graph
from deepcrl.core.agents.crl import CRL
from deepcrl.core.types import Batch, Observation, TransitionBatch
from tests.core.agents.pieces import make_crl as make_agent
from tests.core.agents.pieces import make_inputs


class Tape:
    """Stands in for a CUDA graph: a recording computes nothing, and a replay runs on the recorded tensors."""

    def __init__(self, agent: CRL) -> None:
        self.agent, self.calls = agent, []

    def warm_up(self, step):
        self.calls.append("warm_up")
        assert not self.capturable()
        return step()

    def record(self, step):
        self.calls.append("record")
        assert self.capturable()
        self.step = step

    def replay(self):
        self.calls.append("replay")
        assert not self.capturable()
        self.step()

    def capturable(self) -> bool:
        return all(g["capturable"] for optimizer in self.agent.optimizers.values() for g in optimizer.param_groups)


def make_pair() -> tuple[CudaGraphAgent, Tape]:
    agent = make_agent()
    tape = Tape(agent)
    return CudaGraphAgent(agent, tape), tape


def batches(count: int, size: int = 16) -> list[Batch]:
    draws = torch.Generator().manual_seed(2)
    return [Batch(*(torch.randn(size, n, generator=draws) for n in (5, 3, 2))) for _ in range(count)]


def test_takes_the_same_steps(same):
    plain, (ours, tape) = make_agent(), make_pair()
    for batch in batches(6):
        same(ours.update(batch), plain.update(batch))
    same(ours.state_dict(), plain.state_dict())
    assert tape.calls == ["warm_up"] * WARM_UP_STEPS + ["record"] + ["replay"] * 3


def test_leaves_earlier_metrics_and_the_callers_batches_alone(same):
    ours, _ = make_pair()
    data = batches(6)
    before = copy.deepcopy(data)
    metrics, then = [], []
    for batch in data:
        metrics.append(ours.update(batch))
        then.append(copy.deepcopy(metrics[-1]))
    same(metrics, then)
    same([dataclasses.asdict(batch) for batch in data], [dataclasses.asdict(batch) for batch in before])


def test_replays_on_all_that_a_batch_holds():
    (ours, tape), seen = make_pair(), []
    update = tape.agent.update
    tape.agent.update = lambda batch: seen.append(copy.deepcopy(batch)) or update(batch)
    data = [
        TransitionBatch(b.state, b.action, b.goal, b.state + i, b.goal - i, torch.arange(16) % (i + 2) == 0)
        for i, b in enumerate(batches(6))
    ]
    for batch in data:
        ours.update(batch)
    for got, want in zip(seen, data, strict=True):
        for field in dataclasses.fields(want):
            assert torch.equal(getattr(got, field.name), getattr(want, field.name)), field.name


def test_acts_with_what_it_learned():
    (ours, _), observation = make_pair(), Observation(torch.randn(4, 5), torch.randn(4, 2))
    first = ours.act(observation, explore=False)
    for batch in batches(5):
        ours.update(batch)
    assert not torch.equal(ours.act(observation, explore=False), first)
    assert ours.networks.keys() == {"actor", "sa_encoder", "goal_encoder"}


def test_records_anew_after_loading(same):
    plain, (ours, tape) = make_agent(), make_pair()
    for batch in batches(5):
        ours.update(batch)
    saved = copy.deepcopy(ours.state_dict())
    ours.load_state_dict(saved)
    plain.load_state_dict(copy.deepcopy(saved))
    for batch in batches(5):
        same(ours.update(batch), plain.update(batch))
    assert tape.calls.count("record") == 2


def test_refuses_a_batch_of_another_size():
    ours, _ = make_pair()
    for batch in batches(4):
        ours.update(batch)
    for size in (1, 17):
        with pytest.raises(ValueError, match=f"^cuda_graph=true: batches must have one size, 16; got {size}$"):
            ours.update(*batches(1, size))


def test_refuses_an_agent_that_cannot_be_recorded():
    agent: Any = SimpleNamespace(
        needs_transitions=False, networks={}, act=None, update=None, state_dict=None, load_state_dict=None
    )
    with pytest.raises(ValueError, match="^cuda_graph=true: SimpleNamespace has no `optimizers` and `generators`"):
        with_cuda_graph(agent)


def test_captures_on_its_own_stream_with_every_generator(monkeypatch):
    """The order of calls that PyTorch's notes ask for, written down by stand-ins."""
    calls = []

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            calls.append(f"{self.name} waits for {other.name}")

    class Within:
        def __init__(self, *what, stream=None):
            self.what = " on ".join([type(what[0]).__name__, *([stream.name] if stream else [])])

        def __enter__(self):
            calls.append(f"enter {self.what}")

        def __exit__(self, *_):
            calls.append("leave")

    class Graph:
        def register_generator_state(self, generator):
            calls.append(f"register {generator.initial_seed()}")

        def replay(self):
            calls.append("replay")

    for name, stand_in in {"Stream": Stream, "stream": Within, "CUDAGraph": Graph, "graph": Within}.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream("current"))
    capture = CudaCapture([torch.Generator().manual_seed(seed) for seed in (3, 4)])
    assert capture.warm_up(lambda: calls.append("step") or {}) == {}
    assert calls == ["side waits for current", "enter Stream", "step", "leave", "current waits for side"]
    calls.clear()
    capture.record(lambda: calls.append("step"))
    capture.replay()
    assert calls == ["register 3", "register 4", "enter Graph on side", "step", "leave", "replay"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="runs on a machine with a CUDA GPU")
def test_takes_the_same_steps_on_a_gpu():
    device = torch.device("cuda")
    inputs = dataclasses.replace(make_inputs(), device=device)
    plain, ours = CRL(inputs), with_cuda_graph(CRL(inputs))
    for batch in batches(8):
        there = Batch(batch.state.to(device), batch.action.to(device), batch.goal.to(device))
        expected, metrics = plain.update(there), ours.update(there)
        for name, value in metrics.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-4, msg=name)
