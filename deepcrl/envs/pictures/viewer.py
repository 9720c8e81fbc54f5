"""MuJoCo's own viewer on an environment, in real time."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import copy
import os
import sys
from time import perf_counter
from time import sleep as _sleep

import mujoco
import torch

from deepcrl.core.types import VectorEnv
from deepcrl.envs.pictures.render import Act
from deepcrl.envs.vector import TaskVectorEnv


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
