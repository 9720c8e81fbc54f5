"""Adam as PyTorch's, without its compiler; projection after every step, of what it trains and nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from deepcrl.core.agents.common.optimizer import Adam, project_after_steps
from deepcrl.core.components import AGENTS, ENCODERS
from deepcrl.nets.hyperspherical import Hyperspherical
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit


def trained(kind: type[torch.optim.Adam], steps: int, state: dict | None = None) -> tuple[list[torch.Tensor], dict]:
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((5, 3), (7,))]
    optimizer = kind(parameters, lr=0.1, fused=True)
    if state is not None:
        optimizer.load_state_dict(state)
    for _ in range(steps):
        optimizer.zero_grad()
        sum((p.square().sum() for p in parameters), torch.zeros(())).backward()
        optimizer.step()
    return [p.detach() for p in parameters], optimizer.state_dict()


def test_it_steps_as_pytorchs_does_and_takes_its_state() -> None:
    ours, state = trained(Adam, 3)
    theirs, other = trained(torch.optim.Adam, 3)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert state["param_groups"] == other["param_groups"]
    resumed, _ = trained(Adam, 2, other)
    again, _ = trained(torch.optim.Adam, 2, state)
    assert all(torch.equal(a, b) for a, b in zip(resumed, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(resumed, ours, strict=True))


def test_hooks_run_after_its_steps() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer, calls = Adam([parameter], lr=0.1, fused=True), []
    optimizer.register_step_post_hook(lambda *_: calls.append(parameter.requires_grad))
    parameter.sum().backward()
    optimizer.step()
    assert calls == [True]


def test_a_gradient_step_imports_no_compiler() -> None:
    program = """
import sys, torch
from deepcrl.core.agents.common.optimizer import Adam
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = Adam([parameter], lr=0.1, fused=True)
parameter.sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


class Unit(nn.Module):
    """A vector that stays on the unit circle."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.num_projected = 0

    @torch.no_grad()
    def project_(self) -> None:
        self.num_projected += 1
        self.weight.div_(self.weight.norm())


def descend(optimizer: torch.optim.Optimizer, weight: nn.Parameter) -> None:
    weight.grad = torch.tensor([0.0, 1.0])
    optimizer.step()


def test_follows_every_step_also_inside_another_module() -> None:
    inner = Unit()
    optimizer = torch.optim.SGD(inner.parameters(), lr=1.0)
    project_after_steps(optimizer, [nn.Sequential(nn.Linear(2, 2), inner)])
    descend(optimizer, inner.weight)
    torch.testing.assert_close(inner.weight.detach(), torch.tensor([1.0, -1.0]) / 2**0.5)
    for _ in range(4):
        descend(optimizer, inner.weight)
    assert inner.num_projected == 5


def test_leaves_alone_what_another_optimiser_trains() -> None:
    ours, others = Unit(), Unit()
    optimizer = torch.optim.SGD(ours.parameters(), lr=1.0)
    project_after_steps(optimizer, [ours, others])
    descend(optimizer, ours.weight)
    assert (ours.num_projected, others.num_projected) == (1, 0)


class Silent:
    def log(self, row: dict[str, float]) -> None: ...

    def save(self, run: Any) -> None: ...

    def dump(self, run: Any) -> str:
        raise AssertionError("a finite run was dumped")


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_projects_what_it_trains(tiny, name: str) -> None:
    encoder = ENCODERS.defaults("hyperspherical") | {"depth": 4, "width": 16}
    run = build_run(tiny(agent=AGENTS.defaults(name), encoder=encoder, total_env_steps=120))
    nets: dict[str, Hyperspherical] = {
        key: net for key, net in run.agent.networks.items() if isinstance(net, Hyperspherical)
    }
    before = {key: net.widen.detach().clone() for key, net in nets.items()}
    fit(run, Silent(), Interrupt())
    assert run.progress.grad_steps == 8
    assert nets
    for key, net in nets.items():
        assert not torch.allclose(net.widen, before[key], atol=1e-4), key
        for weight in (net.stem, net.widen, net.narrow, net.head_hidden, net.head):
            torch.testing.assert_close(weight.norm(dim=-1), torch.ones(weight.shape[:-1]))
