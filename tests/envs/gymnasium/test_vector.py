"""`env=gymnasium` stepped: episodes, seeds, checkpoints by replay, goals by index, pictures."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from deepcrl.envs.pictures.frames import rollout_frames
from deepcrl.envs.pictures.render import BACKGROUND, rendering
from tests.envs.walk import Walk, acts, build, redness

pytestmark = pytest.mark.usefixtures("walk")
REACHER = {
    "id": "Reacher-v5",
    "goal_indices": [8, 9],
    "goal_low": [-0.1, 0.2],
    "goal_high": [0.1, 0.2],
    "success_radius": 0.1,
}


def test_point_maze_against_gymnasium_itself() -> None:
    envs = build("PointMaze_UMaze-v3", num_envs=2)
    observation = envs.reset()
    slow = [gymnasium.make("PointMaze_UMaze-v3") for _ in range(2)]
    seen = [env.reset(seed=int(seed))[0] for env, seed in zip(slow, envs._seeds, strict=True)]
    assert envs.spec.goal_indices == (4, 5)
    for action in acts(envs, 29):
        step = envs.step(action)
        for i, env in enumerate(slow):
            assert observation.state[i].tolist() == pytest.approx([*seen[i]["observation"], *seen[i]["achieved_goal"]])
            assert observation.goal[i].tolist() == pytest.approx(seen[i]["desired_goal"])
            seen[i], *_, info = env.step(action[i].numpy())
            assert bool(step.success[i]) == info["success"]
            far = np.linalg.norm(seen[i]["achieved_goal"] - seen[i]["desired_goal"])
            assert float(step.distance[i]) == pytest.approx(far, abs=1e-5)
        observation = step.observation


def test_episodes_end_apart_and_return_their_final_state() -> None:
    envs = build("test/Walk-v0", num_envs=6, episode_length=12)
    before, ids = envs.reset(), torch.zeros(6, dtype=torch.int64)
    fell = cut = 0
    steps = torch.zeros(6)
    for _ in range(40):
        action = torch.tensor([1.0, -1, 0, 1, 0.1, -0.3])[:, None]
        step = envs.step(action)
        steps += 1
        x = before.state[:, 1:] + 0.1 * action
        assert torch.allclose(step.next_state, torch.cat((2 * x, x), dim=1), atol=1e-6)
        assert torch.equal(step.terminated, step.next_state[:, 1].abs() > 1)
        assert torch.equal(step.truncated, (steps == 12) & ~step.terminated)
        assert torch.equal(step.traj_id, ids)
        assert torch.allclose(step.distance, (step.next_state[:, 1] - before.goal[:, 0]).abs(), atol=1e-6)
        assert torch.equal(step.success, step.distance < 0.1)
        done = step.terminated | step.truncated
        assert torch.equal(step.observation.state[~done], step.next_state[~done])
        assert (step.observation.state[done, 1].abs() <= 0.5).all()
        ids, steps = ids + done, torch.where(done, 0, steps)
        fell, cut, before = fell + int(step.terminated.sum()), cut + int(step.truncated.sum()), step.observation
    assert fell > 5
    assert cut > 5


def test_seeds_and_reset_policies() -> None:
    first, again, other = (build("test/Walk-v0", seed=seed).reset() for seed in (1, 1, 2))
    assert torch.equal(first.state, again.state)
    assert not torch.equal(first.state, other.state)
    for reset in ("fixed", "resample"):
        envs = build("test/Walk-v0", episode_length=2, reset=reset)
        start = envs.reset()
        step = [envs.step(action) for action in 0.1 * acts(envs, 2)][-1]
        assert step.truncated.all()
        assert torch.equal(step.observation.state, start.state) == (reset == "fixed")
        assert torch.equal(step.observation.goal, start.goal) == (reset == "fixed")


def test_async_is_sync(assert_same) -> None:
    here, there = (
        build("PointMaze_UMaze-v3", num_envs=2, episode_length=7, vectorization=v) for v in ("sync", "async")
    )
    assert torch.equal(here.reset().state, there.reset().state)
    for action in acts(here, 16):
        assert_same(here.step(action), there.step(action))
    there.close()


@pytest.mark.parametrize(
    ("id", "hyper"),
    [("PointMaze_UMaze-v3", {}), ("test/Walk-v0", {}), ("Reacher-v5", REACHER), ("AntMaze_UMaze-v5", {})],
)
@pytest.mark.parametrize("reset", ["fixed", "resample"])
def test_a_checkpoint_goes_on_bit_by_bit(assert_same, id: str, hyper: dict[str, Any], reset: str) -> None:
    hyper = {key: value for key, value in hyper.items() if key != "id"}
    envs = build(id, num_envs=3, episode_length=9, reset=reset, **hyper)
    envs.reset()
    actions = acts(envs, 40)
    for action in actions[:23]:
        envs.step(action)
    saved = envs.state_dict()
    expected = [envs.step(action) for action in actions[23:]]
    other = build(id, num_envs=3, episode_length=9, seed=9, reset=reset, **hyper)
    other.load_state_dict(saved)
    for action, step in zip(actions[23:], expected, strict=True):
        assert_same(step, other.step(action))


def test_episodes_of_unequal_age_are_replayed(assert_same) -> None:
    envs, other = (build("test/Walk-v0", num_envs=8, episode_length=30, seed=s) for s in (0, 1))
    envs.reset()
    for action in 0.7 + 0.3 * acts(envs, 17):
        envs.step(action)
    assert len(set(envs._steps.tolist())) > 2
    other.load_state_dict(envs.state_dict())
    for action in acts(envs, 40):
        assert_same(envs.step(action), other.step(action))


def test_what_its_seed_does_not_decide_ends_at_the_next_step() -> None:
    envs, other = (build("test/Walk-v0", episode_length=20, kwargs={"drift": True}) for _ in range(2))
    envs.reset()
    envs.step(torch.zeros(4, 1))
    with pytest.warns(UserWarning, match="do not decide the state of 4 of 4 environments"):
        other.load_state_dict(saved := envs.state_dict())
    step = other.step(torch.zeros(4, 1))
    assert (step.truncated | step.terminated).all()
    assert torch.equal(step.traj_id, saved["traj_id"])


def test_a_state_that_is_not_finite_is_counted_and_the_others_go_on() -> None:
    envs = build("test/Walk-v0", num_envs=2, episode_length=40, kwargs={"broken": True}, reset="fixed")
    before = envs.reset()
    ends = 0
    for _ in range(20):
        step = envs.step(torch.tensor([[1.0], [0.0]]))
        assert step.next_state.isfinite().all()
        if step.truncated[0]:
            assert torch.equal(step.next_state[0], before.state[0])
            ends += 1
        before = step.observation
        assert not step.truncated[1]
    assert envs.num_unstable == ends > 0


def test_goals_of_a_plain_environment_fill_their_box() -> None:
    envs = build(num_envs=300, **REACHER)
    observation = envs.reset()
    assert observation.state.shape == (300, 10)
    low, high = observation.goal.min(dim=0).values, observation.goal.max(dim=0).values
    assert low[0] >= -0.1
    assert high[0] <= 0.1
    assert torch.equal(observation.goal[:, 1], torch.full((300,), 0.2))
    counts = torch.histc(observation.goal[:, 0], 10, -0.1, 0.1)
    assert float(((counts - 30) ** 2 / 30).sum()) < 27.9  # chi-square, 9 degrees of freedom, p = 0.001
    step = envs.step(torch.zeros(300, 2))
    assert torch.equal(step.success, step.distance < 0.1)
    assert 0 < step.success.sum() < 300


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_pictures_show_each_copy_and_keep_their_proportions(vectorization: str) -> None:
    envs = build("test/Walk-v0", num_envs=2, vectorization=vectorization)
    with rendering(envs, 30, 40) as picture:
        with pytest.raises(RuntimeError, match="reset"):
            envs.step(torch.zeros(2, 1))
        seen = envs.reset()
        for _ in range(3):
            for index in range(2):
                image = picture(index)
                assert image.shape == (40, 30, 3)
                assert tuple(image[20, 15]) == (redness(float(seen.state[index, 1])), 0, 0)
                assert tuple(image[20, 0]) == tuple(image[20, 29]) == BACKGROUND
            seen = envs.step(torch.tensor([[1.0], [-1.0]])).observation
    assert envs.task.ctrl_dt == 0.1


def test_a_film_says_reached_when_the_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = []
    monkeypatch.setattr("deepcrl.envs.pictures.frames._caption", lambda image, *words: captions.append(words) or image)
    envs = build("test/Walk-v0", num_envs=1, episode_length=9)
    list(rollout_frames(envs, lambda seen: (seen.goal - seen.state[:, 1:]).sign(), 25, width=16, height=16))
    assert [step for step, *_ in captions] == [*range(9), *range(9), *range(8)]
    for step, distance, at_goal in captions:
        assert at_goal == (step > 0 and distance < 0.1)
    assert any(at_goal for *_, at_goal in captions)


def test_what_cannot_be_drawn_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(ValueError, match="Unknown camera 'track': env=gymnasium has one; env.kwargs may set it"),
        rendering(build("test/Walk-v0"), 16, 16, "track"),
    ):
        pass
    envs = build("test/Walk-v0", kwargs={"drift": True})
    with rendering(envs, 16, 16) as picture:
        envs.reset()
        with pytest.raises(RuntimeError, match="Cannot render env.id=test/Walk-v0: a package is missing$"):
            picture(0)
    monkeypatch.setattr(Walk, "metadata", {"render_modes": []})
    with (
        pytest.raises(RuntimeError, match="Cannot render: env.id=test/Walk-v0 has no render_mode rgb_array"),
        rendering(build("test/Walk-v0"), 16, 16),
    ):
        pass


def test_bad_calls() -> None:
    envs = build("test/Walk-v0")
    with pytest.raises(RuntimeError, match="reset"):
        envs.step(torch.zeros(4, 1))
    envs.reset()
    with pytest.raises(ValueError, match=r"shape \(4, 1\), got \(4, 2\)"):
        envs.step(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="not finite"):
        envs.step(torch.full((4, 1), torch.nan))
    saved = envs.state_dict()
    with pytest.raises(ValueError, match="other reset policy"):
        build("test/Walk-v0", reset="fixed").load_state_dict(saved)
    with pytest.raises(ValueError, match="shape"):
        build("test/Walk-v0", num_envs=3).load_state_dict(saved)
    with pytest.raises(ValueError, match="lacks goal"):
        build("test/Walk-v0").load_state_dict({key: value for key, value in saved.items() if key != "goal"})
