"""A run saved by the version before this one is resumed as that version itself went on.

`tests/data/run_of_version_0.1.0.tar.xz` holds a run of revision ee10d39 after 200 environment steps (tiny sizes,
kernels=eager, device=cpu, one thread), and `continued.jsonl`, the metrics of the same run after that revision resumed
it with total_env_steps=400.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
import re
import tarfile
from itertools import pairwise
from pathlib import Path
from unittest.mock import ANY

import mujoco
import pytest
import torch
from torch import nn

from deepcrl.run.checkpoint import find
from deepcrl.run.metrics import read_rows
from deepcrl.run.start import resumed
from deepcrl.run.training import train_run
from deepcrl.training.build import build_run
from deepcrl.training.validate import validated

DATA = Path(__file__).parents[1] / "data" / "run_of_version_0.1.0.tar.xz"
ARITHMETIC = "b50ed20d481d2bbd217801f3741a1d57133b5a254e98ead3899debde004be15e"
"""What `arithmetic` gave where the older version ran."""
DISCRETE = ("critic/categorical_accuracy", "time_at_goal", "success_any", "episode_length")


def arithmetic() -> str:
    """Returns a digest of how this machine rounds: a few steps of training and of physics by the libraries alone."""
    generator = torch.Generator().manual_seed(0)
    sizes = (6, 16, 16, 8)
    layers = [[nn.Linear(a, b), nn.LayerNorm(b), nn.SiLU()] for a, b in pairwise(sizes)]
    net = nn.Sequential(*(module for layer in layers for module in layer))
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5)
    stacked = nn.Parameter(torch.randn(4, 8, 8, generator=generator))
    optimiser = torch.optim.Adam([*net.parameters(), stacked], lr=3e-4)
    for _ in range(20):
        x, goal = (torch.randn(16, size, generator=generator) for size in (6, 8))
        embedding = torch.bmm(net(x).expand(4, 16, 8), stacked).mean(0)
        logits = -(((embedding[:, None] - goal) ** 2).sum(-1) + 1e-6).sqrt()
        loss = (logits.logsumexp(1) - logits.diagonal()).mean() + embedding.tanh().exp().log1p().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><geom type="plane" size="1 1 1"/><body pos="0 0 .2" euler="10 20 30"><freejoint/>'
        '<geom type="box" size=".1 .05 .07"/></body></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, nstep=500)
    trained = torch.cat([p.detach().flatten() for p in (*net.parameters(), stacked)])
    return hashlib.sha256(trained.numpy().tobytes() + data.qpos.tobytes()).hexdigest()


MEASURED_SINCE = re.compile(r"eval_sampled/|critic/path_solved|eval/.*_(near|middle|far)(_stderr)?$")
"""Metrics that the older version does not have."""


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the older version ran, and in which this one runs."""
    with tarfile.open(DATA) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_state_is_loaded_bit_by_bit(older: Path, same) -> None:
    checkpoint = find("run")
    run = build_run(validated(checkpoint.config))
    run.load_state_dict(checkpoint.state)
    state, saved = run.state_dict(), checkpoint.state
    assert state.pop("progress").items() >= {**saved.pop("progress"), "wall_seconds": ANY}.items()  # it has more by now
    same(state, saved)


def test_it_goes_on_as_the_older_version_did(older: Path, same) -> None:
    kept = (older / "run" / "metrics.jsonl").read_bytes()
    train_run(resumed("run", {"total_env_steps": 400}, {}))
    assert (older / "run" / "metrics.jsonl").read_bytes().startswith(kept)
    (rows, torn), (expected, _) = read_rows("run/metrics.jsonl"), read_rows("continued.jsonl")
    assert (len(rows), torn) == (21, 0)
    # Libraries choose their instructions by the processor, and round differently with others: with the oldest ones
    # (ATEN_CPU_CAPABILITY=default, SSE only) this run differed by up to 7e-6. So bits are compared where the libraries
    # alone round as they did there, and elsewhere numbers, which any mistake in state or random streams would change
    # by far more. What counts events may change by a whole one.
    known = [{key: value for key, value in row.items() if not MEASURED_SINCE.match(key)} for row in rows]
    if arithmetic() == ARITHMETIC:
        same(known, expected)
    for row, other in zip(known, expected, strict=True):
        assert row.keys() == other.keys()
        for key, value in other.items():
            if not (key.startswith("time/") or key == "wall_seconds" or any(name in key for name in DISCRETE)):
                assert row[key] == pytest.approx(value, rel=1e-3, abs=1e-4), (row["env_steps"], key)
