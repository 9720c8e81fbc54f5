"""Frames of a rollout: which steps they show, captions, grids."""

import numpy as np
import pytest
from torch import Tensor

from deepcrl.core.types import Observation
from deepcrl.envs.pictures import frames
from deepcrl.envs.pictures.frames import caption_height, rollout_frames, tile
from deepcrl.envs.pictures.render import BACKGROUND
from tests.envs.pictures.scenes import point_maze, still


def test_rollout_yields_the_start_and_every_kth_step() -> None:
    env = point_maze()
    seen = []

    def act(observation: Observation) -> Tensor:
        seen.append(observation)
        return still(observation)

    shown = list(rollout_frames(env, act, 6, width=64, height=48, every=3))
    assert len(seen) == 6
    assert len(shown) == 3
    assert shown[0].shape == (48 + caption_height(48), 64, 3)


def test_rollout_shows_several_episodes() -> None:
    (frame,) = rollout_frames(point_maze(num_envs=3), still, 0, width=64, height=48, num_tiles=3)
    high = 48 + caption_height(48)
    assert frame.shape == (2 * high + frames.GAP, 2 * 64 + frames.GAP, 3)
    assert not np.array_equal(frame[:high, :64], frame[:high, -64:])  # episodes with other goals


def test_captions_count_steps_within_the_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = []

    def note(image: np.ndarray, step: int, distance: float, at_goal: bool) -> np.ndarray:
        captions.append((step, distance))
        return image

    monkeypatch.setattr(frames, "_caption", note)
    env = point_maze(num_envs=1, episode_length=3)
    list(rollout_frames(env, still, 4, width=16, height=16))
    assert [step for step, _ in captions] == [0, 1, 2, 0, 1]
    observation = Observation(env._state, env._goal)
    assert captions[-1][1] == pytest.approx(float(env.task.distance(observation.state, observation.goal)))


def test_caption_shows_success_by_colour_and_leaves_the_picture() -> None:
    image = np.full((96, 128, 3), 200, dtype=np.uint8)
    far, near = frames._caption(image, 3, 2.0, False), frames._caption(image, 3, 0.4, True)
    for captioned in (far, near):
        np.testing.assert_array_equal(captioned[:96], image)
    assert tuple(far[-1, -1]) == BACKGROUND
    assert tuple(near[-1, -1]) == frames.AT_GOAL
    assert (far[96:] > 200).any()  # the text


@pytest.mark.parametrize(("number", "shape"), [(1, (5, 7)), (2, (5, 18)), (3, (14, 18)), (5, (14, 29))])
def test_tile(number: int, shape: tuple[int, int]) -> None:
    images = [np.full((5, 7, 3), 100 + i, dtype=np.uint8) for i in range(number)]
    grid = tile(images)
    assert grid.shape == (*shape, 3)
    assert {100 + i for i in range(number)} <= set(grid.ravel().tolist())


def test_rollout_refuses_more_tiles_than_environments() -> None:
    with pytest.raises(ValueError, match="num_tiles must be between 1 and num_envs=2, got 3"):
        next(rollout_frames(point_maze(), still, 1, num_tiles=3))
