"""What is drawn from a dataset, against all pairs of its rows; and that it is the same data when a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from deepcrl.core.buffers.dataset import Dataset
from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.relabel import Geometric
from deepcrl.core.types import Batch, EnvSpec, TransitionBatch

SPEC = EnvSpec(state_dim=3, action_dim=2, goal_indices=(0, 1))
CPU = torch.device("cpu")


@pytest.fixture
def make() -> Callable[..., Dataset]:
    def build(path: str, transitions: bool = False, spec: EnvSpec = SPEC, device: torch.device = CPU, **changes: Any):
        generator, relabel = torch.Generator().manual_seed(3), Geometric(discount=0.8)
        inputs = BufferInputs(spec, 512, device, generator, relabel, transitions, Path("nowhere"), 0)
        return Dataset(inputs, path=path, **changes)

    return build


def expected_pairs(lengths: tuple[int, ...]) -> dict[tuple[int, int, int], float]:
    """P(trajectory, step, goal step): steps with a later one alike, goals by the geometric definition."""
    table = {}
    for trajectory, length in enumerate(lengths):
        for step in range(length - 1):
            weights = 0.8 ** np.arange(1, length - step)
            for k, p in enumerate(weights / weights.sum(), 1):
                table[trajectory, step, step + k] = p
    drawable = sum(length - 1 for length in lengths)
    return {key: p / drawable for key, p in table.items()}


@pytest.mark.parametrize("transitions", [False, True])
@pytest.mark.parametrize("lengths", [(5, 1, 8, 3), (1, 2), (12,)])
def test_draws_follow_the_definition(make, ogbench, lengths: tuple[int, ...], transitions: bool) -> None:
    batch = make(ogbench(lengths), transitions).sample(60_000)
    step, trajectory = batch.state[:, 0], batch.state[:, 1]
    assert torch.allclose(batch.action * 100, batch.state[:, :2])
    assert torch.equal(batch.goal[:, 1], trajectory)
    keys, counts = np.unique(
        torch.stack([trajectory, step, batch.goal[:, 0]], 1).long().numpy(), axis=0, return_counts=True
    )
    observed = dict.fromkeys(expected := expected_pairs(lengths), 0)
    for key, count in zip(keys.tolist(), counts, strict=True):
        observed[tuple(key)] += count  # KeyError: a pair that must never be drawn
    if len(expected) > 1:
        probability = np.array(list(expected.values()))
        assert scipy.stats.chisquare(list(observed.values()), 60_000 * probability).pvalue > 1e-4
    assert isinstance(batch, TransitionBatch) == transitions
    if isinstance(batch, TransitionBatch):
        assert torch.equal(batch.next_state[:, 0], step + 1)
        assert torch.equal(batch.next_state[:, 1], trajectory)
        assert torch.equal(batch.next_achieved, batch.next_state[:, :2])
        assert not batch.terminated.any()


def test_episodes_that_end_by_themselves(make, minari_dataset) -> None:
    observation = np.arange(12.0).reshape(4, 3)
    episode = {"observations": observation, "actions": np.zeros((3, 2), np.float32), "terminated": True}
    batch = make(minari_dataset([episode]), True).sample(200)
    at_the_end = batch.state[:, 0] == 6
    assert at_the_end.any()
    assert torch.equal(batch.terminated, at_the_end)
    assert (batch.next_achieved[at_the_end] == torch.tensor([9.0, 10.0])).all()
    assert torch.equal(batch.next_state[at_the_end], batch.state[at_the_end])
    assert (batch.next_state[~at_the_end] == batch.state[~at_the_end] + 3).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_random_goals_come_from_anywhere(make, ogbench, share: float) -> None:
    batch = make(ogbench((6, 6)), True, random_goals=share).sample(1000)
    other = (batch.goal[:, 1] != batch.state[:, 1]).float().mean().item()
    assert other == pytest.approx(share / 2, abs=0.06)
    if share == 0:
        assert type(make(ogbench((6, 6))).sample(4)) is Batch


def test_goes_on_exactly(make, ogbench, same) -> None:
    path = ogbench()
    first, second = make(path), make(path)
    first.sample(7)
    second.load_state_dict(first.state_dict())
    same(first.sample(50), second.sample(50))
    assert first.state_dict().keys() == {"generator", "sha256"}


def test_refuses_to_go_on_with_other_data(make, ogbench) -> None:
    state = make(ogbench()).state_dict()
    for changes in ({"actions": np.zeros((17, 2))}, {"terminals": np.arange(17) % 4 == 3}, {"lengths": (4, 13)}):
        with pytest.raises(ValueError, match=r"^buffer.path=.* holds other data than when this was saved$"):
            make(ogbench(**changes)).load_state_dict(state)


def test_knows_its_size_without_memory(make, ogbench) -> None:
    path = ogbench()
    meta = make(path, device=torch.device("meta"))
    assert meta.nbytes == make(path).nbytes
    assert (meta.offline, meta.disk_nbytes) == (True, 0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (EnvSpec(4, 2, (0, 1)), "has states of 3 numbers and actions of 2; the env has 4 and 2"),
        (EnvSpec(3, 8, (0, 1)), "has states of 3 numbers and actions of 2; the env has 3 and 8"),
    ],
)
def test_another_env_is_refused_before_anything_is_read(make, ogbench, spec: EnvSpec, message: str) -> None:
    path = ogbench(observations=np.full((17, 3), np.nan))
    with pytest.raises(ValueError, match=f"^buffer.path={path} {message}$"):
        make(path, spec=spec, device=torch.device("meta"))


def test_one_state_is_no_dataset(make, ogbench) -> None:
    with pytest.raises(ValueError, match="has no trajectory of two states or more"):
        make(ogbench((1,)), device=torch.device("meta"))


def test_nothing_is_inserted(make, ogbench) -> None:
    dataset: Any = make(ogbench())
    with pytest.raises(TypeError, match="is fixed: nothing can be inserted"):
        dataset.insert(None, None, None)
