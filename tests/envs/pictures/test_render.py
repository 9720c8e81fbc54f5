"""Which vectors can be drawn: ours, those of Gymnasium, and others that draw themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from deepcrl.envs.pictures.frames import caption_height, rollout_frames
from deepcrl.envs.pictures.render import can_render, rendering
from tests.envs.pictures.scenes import Foreign, point_maze, still


class DrawsItself:
    """A vector of another class: an environment of ours that paints grey pictures."""

    def __init__(self) -> None:
        self.inner = point_maze()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @contextmanager
    def pictures(self, width: int, height: int, camera: str, shadows: bool) -> Iterator[Callable[[int], np.ndarray]]:
        yield lambda index: np.full((height, width, 3), 100 + index, dtype=np.uint8)


def test_a_vector_of_another_class_is_refused() -> None:
    foreign: Any = Foreign()
    assert not can_render(foreign)
    with pytest.raises(ValueError, match="Foreign cannot be drawn"):
        next(rollout_frames(foreign, still, 1))


def test_unless_it_draws_itself() -> None:
    envs: Any = DrawsItself()
    assert can_render(envs)
    (frame,) = rollout_frames(envs, still, 0, width=64, height=48, num_tiles=2)
    high = 48 + caption_height(48)
    assert (frame[:48, :64] == 100).all()
    assert (frame[:48, -64:] == 101).all()
    assert frame.shape[0] == high


def test_ours_are_drawn_as_they_are_now() -> None:
    envs = point_maze(num_envs=1)
    assert can_render(envs)
    envs.reset()
    with rendering(envs, 40, 30) as picture:
        before = picture(0)
        for _ in range(20):
            envs.step(torch.ones(1, 2))
        after = picture(0)
    assert before.shape == (30, 40, 3)
    assert not np.array_equal(before, after)


def test_an_unknown_camera_of_ours() -> None:
    envs = point_maze(num_envs=1)
    envs.reset()
    with (
        pytest.raises(ValueError, match="Unknown camera 'top'. Known: overview, track"),
        rendering(envs, 16, 16, "top") as p,
    ):
        p(0)
