"""deepcrl from Python: train, look, act, score; and one line for what makes no sense."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image

import deepcrl
from deepcrl.training.progress import Progress

SMALL = (
    *("env=point_u_maze", "num_envs=4", "num_eval_envs=3", "episode_length=20", "prefill_steps=20", "unroll_length=5"),
    *("grad_steps_per_unroll=4", "batch_size=16", "encoder.width=16", "buffer.capacity=100", "total_env_steps=160"),
    *("eval_every=40", "checkpoint_every=80", "num_threads=1", "video=false", "precision=fp32"),
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> deepcrl.Result:
    return deepcrl.train(*SMALL, "encoder.depth=4", seed=3, run_dir=tmp_path_factory.mktemp("runs") / "first")


def test_a_run_leaves_its_rows_score_and_curve(result: deepcrl.Result) -> None:
    steps, values = result.curve()
    assert steps.tolist() == [0, 40, 80, 120, 160]
    assert result.score == values[3:].mean(), "of the evaluations after gradient steps"
    assert result.rows[-1]["grad_steps"] == 16
    assert len(result.curve("critic/loss")[1]) == 4


def test_the_same_call_goes_on_or_returns_what_is_there(result: deepcrl.Result, monkeypatch, capsys) -> None:
    again = deepcrl.train(*SMALL, "encoder.depth=4", seed=3, run_dir=result.run_dir)
    assert "Already complete" in capsys.readouterr().out
    assert again.score == result.score
    with pytest.raises(ValueError, match=r"encoder.depth=8 contradicts the saved run, which has encoder.depth=4"):
        deepcrl.train(*SMALL, "encoder.depth=8", seed=3, run_dir=result.run_dir)


def test_ctrl_c_saves_and_interrupts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Progress.take_row

    def interrupted(progress: Progress) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        return take(progress)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "take_row", interrupted)
        with pytest.raises(KeyboardInterrupt):
            deepcrl.train(*SMALL, run_dir=tmp_path / "run")
    assert deepcrl.train(*SMALL, run_dir=tmp_path / "run").rows[-1]["env_steps"] == 160


def test_a_policy_acts_on_one_state_or_many_and_values_actions(result: deepcrl.Result) -> None:
    policy = result.policy()
    assert (policy.spec.state_dim, policy.spec.goal_dim, policy.config.encoder["depth"]) == (4, 2, 4)
    one = policy.act([4.0, 4.0, 0.0, 0.0], [12.0, 4.0])
    many = policy.act(np.tile([4.0, 4.0, 0.0, 0.0], (3, 1)), [12.0, 4.0])
    assert one.shape == (2,)
    assert many.shape == (3, 2)
    assert np.allclose(one, many, atol=1e-6)
    assert not np.array_equal(policy.act([4.0, 4, 0, 0], [12.0, 4], sample=True), one)
    value = policy.value([4.0, 4, 0, 0], one, [12.0, 4])
    values = policy.value(np.tile([4.0, 4, 0, 0], (3, 1)), many, [12.0, 4])
    assert isinstance(value, float)
    assert np.allclose(values, value, atol=1e-5)


def test_its_value_map_is_a_picture_of_the_maze(result: deepcrl.Result, tmp_path: Path) -> None:
    with Image.open(result.policy().value_map(tmp_path / "map.png")) as picture:
        assert picture.size[0] == picture.size[1], "5 x 5 cells"


def test_it_flies_gymnasiums_loop(result: deepcrl.Result) -> None:
    policy, env = deepcrl.load(result.run_dir), gymnasium.make("deepcrl/PointUMaze-v0")
    seen, _ = env.reset(seed=0)
    for _ in range(3):
        action = policy.act_dict(seen)
        assert np.array_equal(action, policy.act(seen["observation"], seen["desired_goal"]))
        seen, _, _, _, _ = env.step(action)


def test_actions_of_a_gymnasium_environment_are_in_its_own_space(tmp_path: Path) -> None:
    plain = ("env.goal_indices=[0,1]", "env.goal_low=[-1,-1]", "env.goal_high=[1,1]", "env.success_radius=0.1")
    words = [word for word in SMALL if not word.startswith("env=")]
    result = deepcrl.train("env=gymnasium", "env.id=Pendulum-v1", *plain, *words, run_dir=tmp_path / "run")
    policy = result.policy()
    seen = {"observation": np.zeros(3), "achieved_goal": np.zeros(2), "desired_goal": np.array([1.0, 0.0])}
    action = policy.act_dict(seen)
    assert action == pytest.approx(2 * policy.act(seen["observation"], seen["desired_goal"]))


def test_scores_are_those_of_the_command(result: deepcrl.Result) -> None:
    policy = deepcrl.load(result.run_dir, "env=point_u_maze_eval", "agent.evaluation=best_of")
    scores = policy.evaluate(episodes=5)
    assert scores == deepcrl.load(result.run_dir, "env=point_u_maze_eval", "agent.evaluation=best_of").evaluate(
        episodes=5
    )
    assert {"eval/time_at_goal", "eval_sampled/time_at_goal"} <= scores.keys()
    assert policy.config.evaluation_env["name"] == "point_u_maze_eval"


def test_components_and_environments() -> None:
    assert "infonce" in deepcrl.registry()["losses"]
    assert deepcrl.registry().keys() >= {"envs", "encoders", "agents"}
    envs = deepcrl.make_envs("point_maze", "env.layout=perfect_7", "env.layout_seed=2", num_envs=3, seed=1)
    assert envs.reset().state.shape == (3, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("loss=inofnce",), "^Unknown loss 'inofnce'. Did you mean 'infonce'?"),
        (("encoder.dpeth=8",), "^Unknown setting of encoder=residual_mlp: 'dpeth'. Did you mean 'depth'?"),
        (("encoder.depth=6",), "^encoder.depth is 6; it must be a positive multiple of block_layers=4"),
        (("-m", "seed=0,1"), "^'-m' is no setting: give KEY=VALUE, such as 'encoder.depth=16'$"),
        (("depth",), "^'depth' is no setting: give KEY=VALUE"),
        (("seed=0,1",), "^seed=0,1 names several values"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        deepcrl.train(*SMALL, *words, run_dir=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_with_a_policy(result: deepcrl.Result, tmp_path: Path) -> None:
    policy = result.policy()
    with pytest.raises(ValueError, match=r"^state has shape \[3\], and point_u_maze has 4 numbers a row$"):
        policy.act([0.0, 0, 0], [1.0, 1.0])
    with pytest.raises(ValueError, match="^There is no checkpoint to read: .* does not exist"):
        deepcrl.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="^Unknown setting of an evaluation 'loss'"):
        deepcrl.load(result.run_dir, "loss=dcl")
    with pytest.raises(ValueError, match="^Unknown env 'point_u_mze'. Did you mean 'point_u_maze'?"):
        deepcrl.make_envs("point_u_mze", num_envs=2)
    gcbc = deepcrl.train(*SMALL, "agent=gcbc", run_dir=tmp_path / "gcbc").policy()
    with pytest.raises(ValueError, match="^agent=gcbc has no critic, so it values no action$"):
        gcbc.value([4.0, 4, 0, 0], [0.0, 0], [12.0, 4])
    with pytest.raises(ValueError, match="^There is no value map of point_u_maze with agent=gcbc$"):
        gcbc.value_map(tmp_path / "map.png")
    with pytest.raises(AttributeError, match="module 'deepcrl' has no attribute 'trian'"):
        _ = deepcrl.trian
