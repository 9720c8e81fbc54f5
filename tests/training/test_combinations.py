"""Every loss with every energy in a whole run, from its first state to its last evaluation."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from deepcrl.core.components import AGENTS, ENERGIES, LOSSES
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit
from deepcrl.training.run import Run

TWO_UPDATES = {"total_env_steps": 40, "grad_steps_per_unroll": 2, "prefill_steps": 5, "num_eval_envs": 1}


class Memory:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def save(self, run: Run) -> None:
        pass

    def dump(self, run: Run) -> str:
        raise AssertionError(run.config.loss)


@pytest.mark.parametrize(("loss", "energy"), list(product(LOSSES, ENERGIES)))
def test_two_updates(tiny, loss: str, energy: str) -> None:
    agent = AGENTS.defaults("crl") | {"embedding_dim": 16}  # two components of IQE: with one, nothing is mixed
    parts = {"agent": agent, "loss": LOSSES.defaults(loss), "energy": ENERGIES.defaults(energy)}
    run = build_run(tiny(**parts, **TWO_UPDATES))
    before = [p.detach().clone() for net in run.agent.networks.values() for p in net.parameters()]
    memory = Memory()
    fit(run, memory, Interrupt())
    assert run.progress.grad_steps == 2
    assert all(torch.tensor(list(row.values())).isfinite().all() for row in memory.rows)
    after = [p for net in run.agent.networks.values() for p in net.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
