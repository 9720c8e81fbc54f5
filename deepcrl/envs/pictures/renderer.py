"""MuJoCo scenes drawn off screen, without a display: by EGL, else by OSMesa."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from typing import Any

import mujoco
import numpy as np

MAX_GEOMS = 10_000


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
        importlib.import_module(
            "triton"
        )  # Triton and Mesa each load an LLVM: Triton must come first or its import crashes
    asked = os.environ.get("MUJOCO_GL", "").lower()
    backends = (asked,) if asked in ("egl", "osmesa") else ("egl", "osmesa")
    reasons = []
    for backend in backends:
        try:
            return _load_gl(backend)
        except Exception as error:  # a missing library raises AttributeError, ImportError, GLError, ...
            reasons.append(f"{backend}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            _forget_opengl()
    raise RuntimeError(
        "Cannot render: no OpenGL without a display. Install EGL (Debian: libegl1 libgl1-mesa-dri) or OSMesa "
        f"(Debian: libosmesa6). Tried {'; '.join(reasons)}"
    )


def _load_gl(backend: str) -> Any:
    os.environ["PYOPENGL_PLATFORM"] = backend
    os.environ["MUJOCO_GL"] = backend  # MuJoCo's C code reads it to find OpenGL's functions
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
