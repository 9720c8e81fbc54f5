"""Looking into residual blocks: what is logged, when, and that it changes nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from deepcrl.nets.mlp import MLP
from deepcrl.nets.residual_mlp import ResidualMLP
from deepcrl.training.block_norms import block_key, last_blocks, log_block_norms
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit


class Memory:
    def __init__(self):
        self.rows = []

    def log(self, row):
        self.rows.append(row)

    def save(self, run):
        pass

    def dump(self, run):
        return ""


def rows_of(config):
    memory, run = Memory(), build_run(config)
    fit(run, memory, Interrupt())
    return memory.rows, run


def deeper(tiny, **changes):
    return tiny(encoder={"name": "residual_mlp", "depth": 8, "width": 16}, **changes)


def test_evaluations_log_every_block_and_training_stays_what_it_was(tiny, same):
    rows, run = rows_of(deeper(tiny, log_blocks=True))
    plain_rows, plain_run = rows_of(deeper(tiny))
    same(run.agent.state_dict(), plain_run.agent.state_dict())
    for row, plain in zip(rows, plain_rows, strict=True):
        looked = {key for key in row if key.startswith("blocks/")}
        evaluated = "eval/time_at_goal" in row and row["grad_steps"] > 0
        assert len(looked) == (3 * (3 + 2 + 2) if evaluated else 0)
        same({key: row[key] for key in row.keys() - looked}, plain)
    assert rows[-1]["blocks/sa_encoder/stream_rms/0002"] > 0
    assert rows[-1]["blocks/actor/gradient_norm/0001"] > 0


def test_looks_at_the_last_input_and_the_gradients_left_behind():
    net, row = ResidualMLP(3, 2, torch.Generator().manual_seed(0), depth=8, width=16), {}
    first, last = torch.randn(5, 3), torch.randn(5, 3)
    with log_block_norms({"actor": net, "plain": MLP(3, 2, torch.Generator())}, row):
        net(first)
        net(last).sum().backward()
    norms = {**net.block_norms(last), "gradient_norm": net.block_gradient_norms()}
    assert norms.keys() == {"stream_rms", "residual_norm", "gradient_norm"}
    expected = {f"blocks/actor/{what}/{i:04}": float(v) for what, values in norms.items() for i, v in enumerate(values)}
    assert row == expected
    net(first)
    assert row == expected  # no longer logged


def test_keys_are_read_back_in_order_from_the_last_row_that_has_any():
    early = {block_key("actor", "stream_rms", k): 9.0 for k in range(12)}
    late = {block_key("actor", "stream_rms", k): 1.0 + k for k in range(12)}
    late |= {block_key("deep/actor", "gradient_norm", 0): 0.0, "eval/time_at_goal": 3.0}
    assert "blocks/actor/stream_rms/0011" in early
    assert last_blocks([early, late, {"critic/loss": 1.0}]) == {
        ("actor", "stream_rms"): [1.0 + k for k in range(12)],
        ("deep/actor", "gradient_norm"): [0.0],
    }
    assert last_blocks([{"critic/loss": 1.0}]) == {}


def test_needs_a_network_with_blocks(tiny):
    with pytest.raises(ValueError, match="log_blocks=true, but no network has residual blocks .*actor is MLP"):
        build_run(tiny(encoder={"name": "mlp"}, log_blocks=True))


def test_cannot_look_into_a_replayed_step(tiny):
    with pytest.raises(ValueError, match="log_blocks=true looks into a gradient step, which cuda_graph=true replays"):
        tiny(log_blocks=True, cuda_graph=True)


def test_an_offline_run_looks_when_it_evaluates(tiny, dataset):
    config = tiny(
        buffer={"name": "dataset", "path": dataset}, total_grad_steps=40, eval_every=16, grad_steps_per_unroll=4
    )
    rows, _ = rows_of(dataclasses.replace(config, log_blocks=True))
    looked = [row["grad_steps"] for row in rows if "blocks/actor/stream_rms/0000" in row]
    assert looked == [row["grad_steps"] for row in rows if "eval/time_at_goal" in row and row["grad_steps"] > 0]
    assert looked == [16, 32, 40]
