"""Pictures of one environment of a vector: our tasks by MuJoCo's renderer, Gymnasium environments by their `render`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeGuard, runtime_checkable

import numpy as np
from torch import Tensor

from deepcrl.core.types import Observation, VectorEnv
from deepcrl.envs.gymnasium.vector import GymnasiumVectorEnv
from deepcrl.envs.pictures.renderer import Renderer, choose_gl
from deepcrl.envs.vector import TaskVectorEnv

Act = Callable[[Observation], Tensor]
Picture = Callable[[int], np.ndarray]
"""Returns the picture [H, W, 3] uint8 of the environment of that index."""
OVERVIEW = "overview"
"""The camera that sees the whole scene."""
BACKGROUND = (24, 28, 34)
"""Colour around pictures."""


class FilmedTask(Protocol):
    """What a film says of its task."""

    @property
    def ctrl_dt(self) -> float:
        """Seconds per control step."""
        ...

    @property
    def success_radius(self) -> float | None: ...

    def distance(self, state: Tensor, goal: Tensor) -> Tensor:
        """Returns the distance [N] between what states [N, S] achieve and goals [N, G]."""
        ...


@runtime_checkable
class RendersItself(VectorEnv, Protocol):
    """A vector of another class than ours that can be filmed; `pictures` is called as `rendering`, without `envs`."""

    @property
    def task(self) -> FilmedTask: ...

    def pictures(
        self, width: int, height: int, camera: str, shadows: bool
    ) -> AbstractContextManager[Callable[[int], np.ndarray]]: ...


Renderable = TaskVectorEnv | GymnasiumVectorEnv | RendersItself


def can_render(envs: VectorEnv) -> TypeGuard[Renderable]:
    """Whether `rendering` takes `envs`."""
    return isinstance(envs, Renderable)


def rendering(
    envs: Renderable, width: int, height: int, camera: str = OVERVIEW, shadows: bool = False
) -> AbstractContextManager[Picture]:
    """Gives a function that returns the picture [H, W, 3] uint8 of environment `index`; call `envs.reset` inside.

    Raises ValueError for an unknown camera, RuntimeError, in one line, if nothing can be drawn here.
    """
    if isinstance(envs, TaskVectorEnv):
        return _of_task(envs, width, height, camera, shadows)
    if isinstance(envs, GymnasiumVectorEnv):
        return _of_gymnasium(envs, width, height, camera)
    return envs.pictures(width, height, camera, shadows)


@contextmanager
def _of_task(envs: TaskVectorEnv, width: int, height: int, camera: str, shadows: bool) -> Iterator[Picture]:
    with Renderer(envs.task.model, width, height, shadows=shadows) as renderer:
        yield lambda index: renderer.render(envs.data(index), camera)


@contextmanager
def _of_gymnasium(envs: GymnasiumVectorEnv, width: int, height: int, camera: str) -> Iterator[Picture]:
    """By the environment's own camera and shadows."""
    from PIL import Image, ImageOps

    if camera != OVERVIEW:
        raise ValueError(f"Unknown camera {camera!r}: env=gymnasium has one; env.kwargs may set it")
    if not envs.task.facts.has_pictures:
        raise RuntimeError(f"Cannot render: env.id={envs.task.id} has no render_mode rgb_array")
    choose_gl()
    envs.make_renderable()

    def picture(index: int) -> np.ndarray:
        image = Image.fromarray(envs.render(index))
        return np.asarray(ImageOps.pad(image, (width, height), color=BACKGROUND))

    yield picture
