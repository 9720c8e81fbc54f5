"""Ids of the reference repositories on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepcrl.cli.hydra.compose import compose_values
from deepcrl.cli.hydra.overrides import to_hydra_syntax, translate_ids


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("env=cheetah", ["env=half_cheetah"]),
        ("eval_env=simple_u_maze_eval", ["eval_env=point_u_maze_eval"]),
        ("env=ant_u4_maze_gen_1f10f", ["env=ant_u4_maze", "env.goal_steps=[1, 10]"]),
        ("env=ant,cheetah,reacher", ["env=ant,half_cheetah,reacher"]),
    ],
)
def test_an_old_id_is_read_as_the_new_one_and_said(given, read, capsys: pytest.CaptureFixture[str]) -> None:
    assert translate_ids(["seed=3", given, "-m"]) == ["seed=3", *read, "-m"]
    assert capsys.readouterr().err == f"deepcrl: {given} is {' '.join(read)} here, see docs/environments.md\n"


def test_what_is_no_old_id_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["env=ant", "env=", "eval_env=null", "agent=cheetah", "env.layout=cheetah", "run_dir=env=cheetah", "-m"]
    assert translate_ids(arguments) == arguments
    assert capsys.readouterr().err == ""


def test_a_run_and_its_evaluation_take_old_ids(deepcrl, tiny) -> None:
    trained = deepcrl("train", *tiny, "env=simple_u_maze", "run_dir=run", "total_env_steps=100")
    assert trained.code == 0
    assert trained.err == "deepcrl: env=simple_u_maze is env=point_u_maze here, see docs/environments.md\n"
    assert "  name: point_u_maze\n" in Path("run/config.yaml").read_text()
    assert deepcrl("eval", "run", "env=simple_big_maze").code == 0


@pytest.mark.parametrize("taken_back", ["eval_env=null", "~eval_env"])
def test_null_takes_back_what_an_experiment_chose(taken_back) -> None:
    assert compose_values(["experiment=ant_laptop"])["eval_env"]["name"] == "ant"
    assert compose_values(["experiment=ant_laptop", taken_back])["eval_env"] is None


def test_null_where_nothing_was_chosen(deepcrl, tiny) -> None:
    assert deepcrl("train", *tiny, "sa_encoder=null", "run_dir=run", "total_env_steps=100").code == 0
    assert "sa_encoder: null\n" in Path("run/config.yaml").read_text()


def test_info_by_itself_is_all_of_it() -> None:
    assert to_hydra_syntax([]) == []
    assert to_hydra_syntax(["--info", "seed=3"]) == ["--info=all", "seed=3"]
    assert to_hydra_syntax(["seed=3", "-i"]) == ["seed=3", "-i=all"]
    assert to_hydra_syntax(["--info", "plugins", "--info=config"]) == ["--info", "plugins", "--info=config"]
