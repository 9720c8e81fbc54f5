"""Pictures of environments: frames without a display (EGL, else OSMesa), or live in MuJoCo's viewer."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names live in compiled modules that ship without stubs.

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from time import perf_counter
from time import sleep as _sleep
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import mujoco
import numpy as np
import torch
from torch import Tensor

from deepcrl.core.types import Observation, Step, VectorEnv
from deepcrl.envs.vector import TaskVectorEnv

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Act = Callable[[Observation], Tensor]
OVERVIEW = "overview"
"""The camera that sees the whole scene."""
AT_GOAL, TEXT, PLATE = (24, 140, 78), (255, 255, 255), (24, 28, 34)
GAP = 4
"""Pixels between the pictures of a grid."""
MAX_GEOMS = 10_000


class Drawn(Protocol):
    """What a picture says of its task."""

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
class Drawable(VectorEnv, Protocol):
    """A VectorEnv that can be filmed."""

    @property
    def task(self) -> Drawn: ...

    def pictures(
        self, width: int, height: int, camera: str, shadows: bool
    ) -> AbstractContextManager[Callable[[int], np.ndarray]]:
        """Gives a function that returns the picture [H, W, 3] uint8 of environment `index`; `reset` comes after it.

        Raises ValueError for an unknown camera, RuntimeError, in one line, if nothing can be drawn here.
        """
        ...


class Renderer:
    """Draws simulations of one model off screen. Use as a context manager, or `close` it; stay on one thread.

    Shadows cost most of a frame's time without a GPU, so they are off unless asked for.
    Raises RuntimeError, in one line, if neither EGL nor OSMesa works here.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, *, shadows: bool = False) -> None:
        self._model = model
        self._gl = choose_gl()(width, height)
        self._gl.make_current()
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._option, self._camera, self._rect = mujoco.MjvOption(), mujoco.MjvCamera(), mujoco.MjrRect(0, 0, 0, 0)
        self._rect.width, self._rect.height = width, height
        self._context: mujoco.MjrContext | None = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_resizeOffscreen(width, height, self._context)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def render(self, data: mujoco.MjData, camera: str = "") -> np.ndarray:
        """Returns the picture [H, W, 3] uint8 that `camera` sees; "" is MuJoCo's free camera.

        `data` must have its derived fields computed (mj_forward). Raises ValueError for an unknown camera.
        """
        assert self._context is not None, "render after close"
        self._point(camera)
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._option, None, self._camera, everything, self._scene)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        image = np.empty((self._rect.height, self._rect.width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(image, None, self._rect, self._context)
        return image[::-1]  # OpenGL's first row is the bottom one

    def close(self) -> None:
        """Frees the graphics memory. Calling it again changes nothing."""
        if self._context is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._context = None

    def _point(self, camera: str) -> None:
        if not camera:
            mujoco.mjv_defaultFreeCamera(self._model, self._camera)
            return
        names = [self._model.camera(i).name for i in range(self._model.ncam)]
        if camera not in names:
            raise ValueError(f"Unknown camera {camera!r}. Known: {', '.join(names)}")
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
        self._camera.fixedcamid = names.index(camera)


@functools.cache
def choose_gl() -> Any:
    """Returns the first GL context class that works here; MUJOCO_GL=egl or osmesa allows only that one.

    From then on the environment variable MUJOCO_GL names it, for everything in this process that draws with MuJoCo.
    """
    if sys.platform != "linux":
        return importlib.import_module("mujoco.gl_context").GLContext
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")  # both it and Mesa bring an LLVM; after Mesa's, its import would crash
    asked = os.environ.get("MUJOCO_GL", "").lower()
    backends = (asked,) if asked in ("egl", "osmesa") else ("egl", "osmesa")
    reasons = []
    for backend in backends:
        try:
            return _load_gl(backend)
        except Exception as error:  # a missing library shows as anything from AttributeError to GLError
            reasons.append(f"{backend}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            _forget_opengl()
    raise RuntimeError(
        "Cannot render: no OpenGL without a display. Install EGL (Debian: libegl1 libgl1-mesa-dri) or OSMesa "
        f"(Debian: libosmesa6). Tried {'; '.join(reasons)}"
    )


def _load_gl(backend: str) -> Any:
    os.environ["PYOPENGL_PLATFORM"] = backend
    os.environ["MUJOCO_GL"] = backend  # MuJoCo's C side asks it where to look up OpenGL functions
    context_class = importlib.import_module(f"mujoco.{backend}").GLContext
    context = context_class(16, 16)
    context.make_current()
    context.free()
    return context_class


def _forget_opengl() -> None:
    """Undoes the imports of a failed attempt: PyOpenGL binds to one platform when it is first imported."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "OpenGL" or name.startswith(("mujoco.egl", "mujoco.osmesa")):
            del sys.modules[name]
    for name in ("PYOPENGL_PLATFORM", "MUJOCO_GL"):
        os.environ.pop(name, None)


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
    if not isinstance(env, Drawable):
        raise ValueError(f"{type(env).__name__} cannot be drawn")
    if not 1 <= num_tiles <= env.num_envs:
        raise ValueError(f"num_tiles must be between 1 and num_envs={env.num_envs}, got {num_tiles}")
    step = None
    with env.pictures(width, height, camera, shadows) as picture:
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
    return step.success & ~(step.terminated | step.truncated)  # which are now at the start of another episode


def tile(images: list[np.ndarray]) -> np.ndarray:
    """Returns equal images [H, W, 3] as one, in as square a grid as possible, with gaps; empty places stay dark."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width, _ = images[0].shape
    grid = np.empty((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), dtype=np.uint8)
    grid[:] = PLATE
    for i, image in enumerate(images):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        grid[top : top + height, left : left + width] = image
    return grid


def _caption(image: np.ndarray, step: int, distance: float, at_goal: bool) -> np.ndarray:
    """Returns the picture with a line of text below it, [H + caption_height(H), W, 3]."""
    from PIL import Image, ImageDraw

    height, width, _ = image.shape
    strip = caption_height(height)
    picture = Image.new("RGB", (width, height + strip), AT_GOAL if at_goal else PLATE)
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


@torch.no_grad()
def view_live(env: VectorEnv, act: Act) -> None:
    """Shows environment 0 in MuJoCo's viewer, in real time, until its window is closed.

    Raises ValueError if there is no display, or if `env` cannot be drawn.
    """
    if not isinstance(env, TaskVectorEnv):
        raise ValueError(f"{type(env).__name__} has no MuJoCo scene of ours to show")
    if not has_display():
        raise ValueError("There is no display to open a viewer on; record a video instead")
    from mujoco import viewer as mujoco_viewer

    observation = env.reset()
    model, data = copy.copy(env.task.model), env.data(0)  # the viewer may write to its model, and tasks share theirs
    with mujoco_viewer.launch_passive(model, data) as viewer:
        while viewer.is_running():
            started = perf_counter()
            observation = env.step(act(observation)).observation
            with viewer.lock():
                mujoco.mj_copyData(data, model, env.data(0))
            viewer.sync()
            _sleep(max(0.0, env.task.ctrl_dt - (perf_counter() - started)))


def has_display() -> bool:
    """Whether a window can be opened here."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
