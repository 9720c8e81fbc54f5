"""`deepcrl eval` and `deepcrl play` on a trained run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deepcrl.envs.pictures import renderer, viewer
from deepcrl.run import checkpoint

pytestmark = pytest.mark.usefixtures("run")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "run"


@pytest.fixture
def run(deepcrl, tiny, kept: Path, tmp_path: Path) -> Path:
    """A finished run, trained once and copied for each test."""
    if not kept.exists():
        changed = ("eval_env=point_u_maze_eval", "eval_env.success_radius=3", "run_dir=run")
        assert deepcrl("train", *tiny, *changed).code == 0
        shutil.move(tmp_path / "run", kept)
    shutil.copytree(kept, tmp_path / "run")
    return tmp_path / "run"


def scores(deepcrl, *overrides: str) -> dict[str, float]:
    result = deepcrl("eval", "run", *overrides)
    assert (result.code, result.err) == (0, "")
    assert "run after 400 env steps, " in result.out
    row = json.loads(Path("run/evaluations.jsonl").read_text().splitlines()[-1])
    assert row["overrides"] == list(overrides)
    assert {"eval/time_at_goal", "eval/success_any", "eval/final_distance", "eval/episode_length"} <= row.keys()
    return {key: value for key, value in row.items() if key.startswith("eval/")}


def test_eval_says_the_same_twice_and_appends(deepcrl, run: Path) -> None:
    first = scores(deepcrl)
    assert scores(deepcrl) == first
    assert len((run / "evaluations.jsonl").read_text().splitlines()) == 2


def test_eval_with_other_seeds_and_sizes(deepcrl) -> None:
    default = scores(deepcrl)
    assert scores(deepcrl, "seed=7") != default
    assert scores(deepcrl, "episode_length=30")["eval/episode_length"] == 30
    assert "eval/time_at_goal_stderr" not in scores(deepcrl, "num_eval_envs=1")


def test_eval_keeps_the_evaluation_env_and_changes_it_when_told(deepcrl) -> None:
    default = scores(deepcrl)
    assert scores(deepcrl, "env.success_radius=3") == default  # as it was trained
    assert scores(deepcrl, "env.success_radius=1000")["eval/time_at_goal"] == 20
    assert scores(deepcrl, "env=point_big_maze")["eval/final_distance"] != default["eval/final_distance"]


def test_eval_with_other_action_choices(deepcrl) -> None:
    values = [
        scores(deepcrl, f"agent.evaluation={choice}")["eval/final_distance"]
        for choice in ("deterministic", "sample", "best_of")
    ]
    assert values[0] == scores(deepcrl)["eval/final_distance"]
    assert len(set(values)) == 3
    one = scores(deepcrl, "agent.evaluation=best_of", "agent.num_candidates=1")
    assert one["eval/final_distance"] != values[2]


def test_eval_with_other_kernels(deepcrl) -> None:
    """So that what a GPU's kernels trained can be looked at on a laptop."""
    default, eager = scores(deepcrl), scores(deepcrl, "kernels=eager")
    assert eager["eval/final_distance"] == pytest.approx(default["eval/final_distance"], rel=1e-3)
    assert "the device is cpu" in deepcrl("eval", "run", "kernels=triton", "device=cpu").error


def test_eval_of_an_older_checkpoint(deepcrl, run: Path) -> None:
    older = checkpoint.list_checkpoints(run / "checkpoints")[0].path
    result = deepcrl("eval", str(older))
    assert "after 300 env steps" in result.out
    assert (run / "evaluations.jsonl").exists()


def test_a_learner_is_scored_and_filmed_by_name(deepcrl, tiny, tmp_path: Path) -> None:
    arguments = ("+learners.deep.encoder.depth=8", "run_dir=collector", "total_env_steps=120")
    assert deepcrl("train", *tiny, *arguments).code == 0
    assert deepcrl("eval", "collector", "seed=3").code == 0
    assert deepcrl("eval", "collector", "seed=3", "--learner", "deep").code == 0
    rows = [json.loads(line) for line in (tmp_path / "collector" / "evaluations.jsonl").read_text().splitlines()]
    assert [row["learner"] for row in rows] == ["", "deep"]
    assert rows[0]["eval/final_distance"] != rows[1]["eval/final_distance"]
    film = ("--learner", "deep", "--tiles", "1", "--size", "64", "--steps", "4")
    assert deepcrl("play", "collector", *film).out.split()[1] == "collector/videos/deep/point_u_maze_120.gif"
    error = deepcrl("eval", "collector", "--learner", "shallow").error
    assert error == "Unknown learner 'shallow'. Known: deep"


@pytest.mark.parametrize("verb", ["eval", "play"])
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=dot", "Unknown setting of an evaluation 'loss'. Known: agent, "),
        ("encoder.depth=8", "Unknown setting of an evaluation 'encoder.depth'. "),
        ("agent=crl", "agent=crl: an evaluation keeps the run's agent; its settings can be changed: "),
        ("sede=3", "Unknown setting of an evaluation 'sede'. Did you mean 'seed'? "),
        ("seed", "Cannot read the override 'seed'; "),
        ("env=point_u_mze", "Unknown env 'point_u_mze'. Did you mean 'point_u_maze"),
        ("env=ant", "eval_env=ant does not fit env=point_u_maze: "),
        ("env.cel_size=3", "Unknown setting of env=point_u_maze_eval: 'cel_size'. Did you mean 'cell_size'? "),
        ("agent.evaluation=best", "Unknown action choice 'best'. Did you mean 'best_of'? "),
        (
            "agent.embedding_dim=16",
            "run/checkpoints/step_0000000000400_00000000064 does not fit this code or these settings: ",
        ),
        ("num_eval_envs=0", "num_eval_envs must be at least 1, got 0"),
        ("seed=abc", "seed: Value 'abc' of type 'str' could not be converted to Integer"),
        ("device=tpu", "Unknown device 'tpu'. "),
        ("kernels=eagre", "Unknown kernels 'eagre'. Did you mean 'eager'? "),
    ],
)
def test_bad_overrides(deepcrl, run: Path, verb: str, override: str, message: str) -> None:
    before = sorted(run.rglob("*"))
    error = deepcrl(verb, "run", override).error
    assert error.startswith(message), error
    assert sorted(run.rglob("*")) == before


def test_play_writes_a_film(deepcrl, run: Path) -> None:
    result = deepcrl("play", "run", "--tiles", "2", "--size", "64", "--steps", "8")
    assert (result.code, result.err) == (0, "")
    names = ["point_u_maze_eval_400.mp4", "point_u_maze_eval_400.gif"]
    assert result.out.split() == [f"run/videos/{name}" for name in names]
    assert all((run / "videos" / name).stat().st_size > 0 for name in names)


def test_play_elsewhere_with_other_actions(deepcrl, run: Path) -> None:
    changed = ("env=point_big_maze", "seed=5", "agent.evaluation=best_of", "--tiles", "1", "--size", "64")
    assert deepcrl("play", "run", *changed).code == 0
    assert (run / "videos" / "point_big_maze_400.gif").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--camera nowhere", "Unknown camera 'nowhere'. Known: "),
        ("--tiles 0", "argument --tiles: a whole number of at least 1 is needed, got '0'"),
        ("--steps=-1", "argument --steps: a whole number of at least 1 is needed, got '-1'"),
        ("--size 1.5", "argument --size: a whole number of at least 16 is needed, got '1.5'"),
    ],
)
def test_play_refuses(deepcrl, run: Path, arguments: str, message: str) -> None:
    error = deepcrl("play", "run", *arguments.split()).error
    assert error.startswith(message), error
    assert list((run / "videos").iterdir()) == []


def test_play_without_a_display(deepcrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "has_display", lambda: False)
    assert deepcrl("play", "run", "--live").error == "There is no display to open a viewer on; record a video instead"


def test_play_without_opengl(deepcrl, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_opengl() -> None:
        raise RuntimeError("Cannot render: no OpenGL without a display")

    monkeypatch.setattr(renderer, "choose_gl", no_opengl)
    assert deepcrl("play", "run").error == "Cannot render: no OpenGL without a display"
