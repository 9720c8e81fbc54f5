"""`env=gymnasium` on the command line: arguments of the environment, training, going on, scoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import yaml

from deepcrl.cli.hydra.compose import compose_values
from deepcrl.cli.saved_run import with_overrides
from tests.envs.gymnasium.toys import TOYS


def test_train_resume_eval_and_play(deepcrl, tiny) -> None:
    kwargs = ("env.kwargs.continuing_task=false", "env.kwargs.reward_type=dense")
    result = deepcrl("train", *tiny, "env=gymnasium", *kwargs, "total_env_steps=160", "video=true", "run_dir=run")
    assert (result.code, result.err) == (0, "")
    saved = yaml.safe_load(Path("run/config.yaml").read_text())["env"]
    assert saved["kwargs"] == {"continuing_task": False, "reward_type": "dense"}
    assert deepcrl("train", "resume=run", "total_env_steps=200", "video=false").code == 0
    assert deepcrl("eval", "run", "seed=3").code == 0
    row = json.loads(Path("run/evaluations.jsonl").read_text())
    assert row["env_steps"] == 200
    assert 0 < row["eval/final_distance"] < 10
    assert deepcrl("train", "resume=run", "env.kwargs.reward_type=sparse").error.startswith(
        "resume: env.kwargs.reward_type=sparse contradicts the saved run, which has env.kwargs.reward_type=dense; "
    )
    films = []
    for _ in range(2):
        played = deepcrl("play", "run", "--tiles", "2", "--size", "64", "--steps", "8")
        assert played.err == ""
        films.append([Path(name).read_bytes() for name in played.out.split()])
    assert len(films[0]) == 2
    assert films[0] == films[1]
    error = deepcrl("play", "run", "--camera", "track").error
    assert error == "Unknown camera 'track': env=gymnasium has one; env.kwargs may set it"


@pytest.mark.parametrize(
    ("override", "kwargs"),
    [
        ("env.kwargs.a=1", {"a": 1}),
        ("++env.kwargs.a=1", {"a": 1}),
        ("env.kwargs.a.name=x", {"a": {"name": "x"}}),
        ("env.kwargs={a:1,b:{c:[2,3]}}", {"a": 1, "b": {"c": [2, 3]}}),
        ("env.kwargs.a={}", {"a": {}}),
    ],
)
def test_arguments_of_the_environment_come_back_from_a_saved_run(override: str, kwargs: dict[str, Any]) -> None:
    first = compose_values(["env=gymnasium", override])
    assert first["env"]["kwargs"] == kwargs
    assert with_overrides(first, ["seed=3"]).evaluation_env == first["env"]


def test_mistakes_are_one_line(deepcrl, tiny) -> None:
    error = deepcrl("train", *tiny, "env=gymnasium", "env.id=PointMaze_UMze-v3").error
    assert error.startswith("Unknown Gymnasium environment 'PointMaze_UMze-v3'. Did you mean ")
    for override, message in (
        ("env.id=Reacher-v5", "env.id=Reacher-v5 has no goals of its own: set env.goal_indices"),
        ("env.kwrgs.a=1", "Unknown setting of env=gymnasium: 'kwrgs'. Did you mean 'kwargs'? "),
        ("env.kwargs.colour=red", "env.id=PointMaze_UMaze-v3 cannot be made: "),
        ("env.kwargs.a=1,2", "env.kwargs.a=1,2 names several values: add -m to run each of them"),
        ("eval_env.kwargs.a=1", "eval_env.kwargs.a has nothing to set: choose eval_env=NAME first"),
    ):
        assert deepcrl("train", *tiny, "env=gymnasium", override).error.startswith(message)


@pytest.fixture
def toys():
    for id, toy in TOYS.items():
        gymnasium.register(id, toy)  # pyright: ignore[reportArgumentType]
    yield
    for id in TOYS:
        del gymnasium.registry[id]


@pytest.mark.parametrize("value", ["nan", "inf", "1e30"])
def test_a_goal_that_cannot_be_trained_on_stops_with_a_dump(deepcrl, tiny, toys, value: str) -> None:
    kwargs = ("env.kwargs.field=desired_goal", f"env.kwargs.value='{value}'", "env.kwargs.when=12")
    error = deepcrl("train", *tiny, "env=gymnasium", "env.id=toy/Faulty-v0", *kwargs, "run_dir=run").error
    assert error.startswith("env.id=toy/Faulty-v0: desired_goal[0] of environment 0 is ")
    (dump,) = Path("run/nan_dump").iterdir()
    assert error.endswith(f"which cannot be trained on. State dumped to {dump}; start it anew with resume=run")


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_one_that_raises_says_how_to_go_on(deepcrl, tiny, toys, vectorization: str) -> None:
    env = ("env=gymnasium", "env.id=toy/Plane-v0", "env.goal_from=info:goal", "env.kwargs.raises_at=70")
    error = deepcrl("train", *tiny, *env, f"env.vectorization={vectorization}", "run_dir=run").error
    assert error.startswith("env.id=toy/Plane-v0 raised in step: RuntimeError: the sensor is gone. State dumped to ")
    kept = sorted(Path("run/checkpoints").iterdir())[-1]
    assert error.endswith(f"; go on from the last checkpoint with resume={kept}")


def test_bad_numbers_at_the_first_reset_leave_nothing(deepcrl, tiny, toys) -> None:
    kwargs = ("env.kwargs.field=observation", "env.kwargs.value='1e30'")
    error = deepcrl("train", *tiny, "env=gymnasium", "env.id=toy/Faulty-v0", *kwargs, "run_dir=run").error
    assert error.startswith(
        "env.id=toy/Faulty-v0: observation[2] of environment 0 is 1e+30, which cannot be trained on"
    )
    assert not Path("run").exists()
