"""Projection after every step, of what the optimiser trains and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from deepcrl.core.agents.common.projection import project_after_steps
from deepcrl.core.components import AGENTS, ENCODERS
from deepcrl.nets.hyperspherical import Hyperspherical
from deepcrl.train.build import build_run
from deepcrl.train.interrupt import Interrupt
from deepcrl.train.loop import fit


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
