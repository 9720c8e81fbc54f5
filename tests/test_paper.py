"""configs/experiment/paper/ are the rows of the paper's Table 1, and docs/paper.md names each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deepcrl.cli.hydra.compose import CONFIGS_DIR, compose_values
from deepcrl.training.build import env_spec
from deepcrl.training.config import RunConfig
from deepcrl.training.sizing.table import preflight
from deepcrl.training.validate import validated
from tests.test_docs_compose import runs_of, trainings

PAGE = (Path(__file__).parents[1] / "docs" / "paper.md").read_text()
ROWS = {
    "humanoid": ("humanoid", 100),
    "ant_big_maze": ("ant_big_maze_eval", 100),
    "ant_u4_maze": ("ant_u4_maze_eval", 100),
    "ant_u5_maze": ("ant_u5_maze_eval", 400),
    "ant_hardest_maze": ("ant_hardest_maze", 200),
    "arm_push_easy": ("arm_push_easy", 100),
    "arm_push_hard": ("arm_push_hard", 100),
    "arm_binpick_hard": ("arm_binpick_hard", 100),
    "humanoid_u_maze": ("humanoid_u_maze", 400),
    "humanoid_big_maze": ("humanoid_big_maze", 400),
}
"""Where each is scored, and its million steps."""


def test_there_is_a_recipe_for_each_row_and_no_other() -> None:
    assert {path.stem for path in (CONFIGS_DIR / "experiment" / "paper").iterdir()} == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_recipe_has_the_settings_of_its_row_and_the_paper_s_elsewhere(row: str) -> None:
    config, plain = validated(compose_values([f"experiment=paper/{row}"])), compose_values([])
    assert config.env["name"] == row
    assert (config.evaluation_env["name"], config.total_env_steps / 1e6) == ROWS[row]
    assert (config.encoder["depth"], config.reset, config.buffer["sampling"]) == (64, "fixed", "paper")
    assert config.encoder | {"depth": 4} == plain["encoder"]
    assert config.buffer | {"sampling": "uniform"} == plain["buffer"]
    changed = {"env", "eval_env", "encoder", "buffer", "reset", "total_env_steps"}
    assert {key for key, value in plain.items() if getattr(config, key) != value} <= changed
    assert f"`paper/{row}` | {ROWS[row][1]} |" in PAGE


def test_the_defaults_are_the_paper_s() -> None:
    """Table 7 of the paper, and the released code where that says nothing."""
    plain = RunConfig.from_dict(compose_values([]))
    steps = (plain.num_envs, plain.episode_length, plain.unroll_length, plain.grad_steps_per_unroll, plain.batch_size)
    assert steps == (512, 1000, 62, 800, 512)
    assert (plain.prefill_steps, plain.buffer["capacity"], plain.relabel["discount"]) == (1000, 10_000, 0.99)
    rates = [plain.agent[name] for name in ("actor_lr", "critic_lr", "temperature_lr")]
    assert (rates, plain.agent["target_entropy_per_action"]) == ([3e-4] * 3, -0.5)
    assert (plain.agent["embedding_dim"], plain.encoder["width"], plain.loss["logsumexp_coef"]) == (64, 256, 0.1)
    assert (plain.loss["name"], plain.energy["name"], plain.agent["update_order"]) == ("infonce", "norm", "actor_first")
    assert (plain.num_eval_envs, plain.eval_every) == (128, 1_000_000)


@pytest.mark.parametrize("words", trainings(PAGE), ids=" ".join)
def test_a_command_of_the_page_could_start(words: list[str]) -> None:
    """Beside composing, as all pages' commands do: agent and buffer of its first run fit each other."""
    config = validated(compose_values([*runs_of(words)[0], "encoder.depth=4", "device=cpu"]))
    assert preflight(config, env_spec(config), torch.device("cpu")).ring_bytes > 0


def test_the_sweep_is_the_paper_s() -> None:
    text = (CONFIGS_DIR / "sweep" / "paper_depths.yaml").read_text()
    assert "seed: 0,1,2,3,4\n" in text
    assert "encoder.depth: 4,8,16,32,64\n" in text
