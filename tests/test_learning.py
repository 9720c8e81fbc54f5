"""The whole method learns: an agent trained for half a minute goes towards its goals, unless its pairs are shuffled."""

import functools

import pytest
import torch

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.infonce import infonce
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit
from deepcrl.training.run import Run
from deepcrl.training.validate import validated

SETTINGS = {
    "env": {"name": "point_maze", "layout": "#####/#GGG#/#GRG#/#GGG#/#####", "cell_size": 3.0},
    "agent": {"name": "crl", "actor_lr": 1e-3, "critic_lr": 1e-3, "temperature_lr": 3e-3},
    "encoder": {"name": "residual_mlp", "depth": 4, "width": 64},
    "energy": {"name": "norm"},
    "buffer": {"name": "ring", "capacity": 4000},
    "logger": {"name": "none"},
    "num_envs": 32,
    "num_eval_envs": 32,
    "episode_length": 200,
    "unroll_length": 50,
    "prefill_steps": 400,
    "grad_steps_per_unroll": 60,
    "batch_size": 128,
    "total_env_steps": 50_000,
    "num_threads": 1,
}


@pytest.fixture(autouse=True)
def shuffled_loss(monkeypatch):
    """InfoNCE that takes another state-action's goal for the positive one, in place of DCL."""

    def shuffled(logits, *, logsumexp_coef):
        return infonce(logits.roll(1, dims=0), logsumexp_coef=logsumexp_coef)

    monkeypatch.setitem(LOSSES._items, "dcl", shuffled)


class Rows(list[dict[str, float]]):
    """A Recorder that keeps rows and writes nothing."""

    def log(self, row: dict[str, float]) -> None:
        self.append(row)

    def save(self, run: Run) -> None:
        pass

    def dump(self, run: Run) -> str:
        return "nowhere"


@functools.cache  # two tests look at the same runs
def final_distance(loss: str, seed: int, precision: str = "fp32") -> float:
    """Metres left to the goal, on average, after training with this loss."""
    rows = Rows()
    settings = SETTINGS | {"loss": {"name": loss}, "seed": seed, "precision": precision}
    fit(build_run(validated(settings)), rows, Interrupt())
    return rows[-1]["eval/final_distance"]


@pytest.mark.learning
@pytest.mark.parametrize("seed", [0, 2])
def test_goes_towards_its_goals_only_if_pairs_are_right(seed):
    torch.set_num_threads(1)
    learned, shuffled = final_distance("infonce", seed), final_distance("dcl", seed)
    assert learned < 3.5 < shuffled, f"{learned:.2f} m left after learning, {shuffled:.2f} m with shuffled pairs"


@pytest.mark.learning
def test_bf16_learns_what_fp32_learns():
    torch.set_num_threads(1)
    fp32, bf16 = ([final_distance("infonce", seed, precision) for seed in range(3)] for precision in ("fp32", "bf16"))
    assert max(fp32 + bf16) < 3.5, f"{fp32} m left with fp32, {bf16} m with bf16"
    assert max(min(fp32), min(bf16)) < min(max(fp32), max(bf16)), f"apart: {fp32} m left with fp32, {bf16} m with bf16"
