"""gymnasium-robotics works with this MuJoCo, by a change to one of its modules, and prints nothing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from deepcrl.envs.gymnasium import robotics_shim as shim
from tests.envs.walk import acts, build


@pytest.mark.parametrize("id", ["FetchReach-v4", "HandReach-v3"])
def test_fetch_and_hand_run_with_this_mujoco(id: str) -> None:
    envs = build(id, num_envs=1)
    envs.reset()
    step = envs.step(acts(envs, 1)[0])
    assert step.next_state.shape == (1, envs.spec.state_dim)
    assert step.next_state.isfinite().all()
    assert step.success.dtype == torch.bool


def test_the_shim_changes_one_module_and_only_where_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    import mujoco
    from gymnasium_robotics.utils import mujoco_utils

    monkeypatch.setattr(mujoco_utils, "mujoco", mujoco)
    monkeypatch.setattr(shim, "is_needed", lambda: False)
    shim.apply()
    assert mujoco_utils.mujoco is mujoco
    monkeypatch.setattr(shim, "is_needed", lambda: True)
    shim.apply()
    assert mujoco_utils.mujoco.mjtJoint.mjJNT_HINGE == np.int32(3)  # pyright: ignore
    assert mujoco_utils.mujoco.MjData is mujoco.MjData  # pyright: ignore


def test_importing_the_optional_package_prints_nothing() -> None:
    program = "from deepcrl.envs import make_task; print(make_task({'name': 'gymnasium'}).spec.state_dim)"
    done = subprocess.run([sys.executable, "-W", "default", "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("6\n", "")
