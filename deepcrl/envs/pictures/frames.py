"""Frames of a rollout: the first environments in a grid, each with a caption."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from deepcrl.core.types import Step, VectorEnv
from deepcrl.envs.pictures.render import BACKGROUND, OVERVIEW, Act, can_render, rendering

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

AT_GOAL, TEXT = (24, 140, 78), (255, 255, 255)
GAP = 4
"""Pixels between the pictures of a grid."""


@torch.no_grad()
def rollout_frames(
    env: VectorEnv,
    act: Act,
    num_steps: int,
    *,
    width: int = 320,
    height: int = 320,
    camera: str = OVERVIEW,
    num_tiles: int = 1,
    every: int = 1,
    shadows: bool = False,
) -> Iterator[np.ndarray]:
    """Resets `env`, acts for `num_steps` control steps, and yields the start and then every `every`-th step's picture.

    A frame [H, W, 3] uint8 shows the first `num_tiles` environments in a grid, each `width` x `height` pixels with
    its episode's step, the distance to the goal and whether that counts as success below it. Frames are made as they
    are asked for, so a long video needs little memory. Raises ValueError if `env` cannot be drawn or has fewer than
    `num_tiles` environments, RuntimeError if nothing can be rendered here.
    """
    if not can_render(env):
        raise ValueError(f"{type(env).__name__} cannot be drawn")
    if not 1 <= num_tiles <= env.num_envs:
        raise ValueError(f"num_tiles must be between 1 and num_envs={env.num_envs}, got {num_tiles}")
    step = None
    with rendering(env, width, height, camera, shadows) as picture:
        observation = env.reset()
        steps = torch.zeros(env.num_envs, dtype=torch.int64, device=observation.state.device)
        for taken in range(num_steps + 1):
            if taken:
                step = env.step(act(observation))
                observation = step.observation
                steps = torch.where(step.terminated | step.truncated, 0, steps + 1)
            if taken % every == 0:
                distance = env.task.distance(observation.state, observation.goal)
                at_goal = _at_goal(env.task.success_radius, distance, step)
                words = list(zip(steps.tolist(), distance.tolist(), at_goal.tolist(), strict=True))
                yield tile([_caption(picture(i), *words[i]) for i in range(num_tiles)])


def _at_goal(radius: float | None, distance: Tensor, step: Step | None) -> Tensor:
    """Returns which environments are at their goals, [N] bool; with no radius, as far as the last step says."""
    if radius is not None:
        return distance < radius
    if step is None:
        return torch.zeros_like(distance, dtype=torch.bool)
    return step.success & ~(step.terminated | step.truncated)  # ended episodes show their successor's start


def tile(images: list[np.ndarray]) -> np.ndarray:
    """Returns equal images [H, W, 3] as one, in as square a grid as possible, with gaps; empty places stay dark."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width, _ = images[0].shape
    grid = np.empty((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), dtype=np.uint8)
    grid[:] = BACKGROUND
    for i, image in enumerate(images):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        grid[top : top + height, left : left + width] = image
    return grid


def _caption(image: np.ndarray, step: int, distance: float, at_goal: bool) -> np.ndarray:
    """Returns the picture with a line of text below it, [H + caption_height(H), W, 3]."""
    from PIL import Image, ImageDraw

    height, width, _ = image.shape
    strip = caption_height(height)
    picture = Image.new("RGB", (width, height + strip), AT_GOAL if at_goal else BACKGROUND)
    picture.paste(Image.fromarray(image))
    text = f"step {step}   {distance:.2f} m to goal" + ("   reached" if at_goal else "")
    position = (strip // 3, height + strip // 2)
    ImageDraw.Draw(picture).text(position, text, font=_font(round(0.6 * strip)), fill=TEXT, anchor="lm")
    return np.asarray(picture)


def caption_height(height: int) -> int:
    """Returns how many pixels a caption adds below a picture of `height` pixels."""
    return max(16, 2 * round(height / 24))


@functools.cache
def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
