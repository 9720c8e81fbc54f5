"""The worked example of docs/new_environment.md, used as its reader would: as a plugin."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECK = """
import torch
from deepcrl.envs import make_envs
envs = make_envs({"name": "my_pendulum", "torque": 2.0}, num_envs=3, episode_length=40, seed=0, num_threads=1)
first = envs.reset()
assert torch.allclose(first.state, torch.tensor([0.0, -0.5, 0.0]).expand(3, 3)), first.state
assert torch.allclose(first.goal.norm(dim=1), torch.tensor(0.5))
model, swung = envs.task.model, 0.0
for number in range(90):
    step = envs.step(torch.full((3, 1), 1.0))
    swung = max(swung, step.next_state[:, 1].max().item())
    data, tip = envs.data(0), step.observation.state[0, :2].double()
    end = data.body("rod").xpos + data.body("rod").xmat.reshape(3, 3) @ [0, 0, -0.5]
    assert torch.allclose(tip, torch.tensor(end[[0, 2]]) - torch.tensor([0, 0.7]), atol=1e-6)
assert swung > -0.4
assert step.traj_id.tolist() == [2, 2, 2]
"""


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEEPCRL_PLUGINS": "my_env", "PYTHONPATH": f"{ROOT / 'examples'}:{ROOT}"}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, cwd=ROOT)


def test_the_example_runs_as_a_plugin() -> None:
    result = _run("-c", CHECK)
    assert result.returncode == 0, result.stderr


def test_a_bad_hyperparameter_is_one_line() -> None:
    result = _run("-m", "deepcrl", "train", "env=my_pendulum", "env.torque=-1", "num_threads=1")
    assert result.returncode != 0
    assert "torque must be greater than 0, got -1" in result.stderr
    assert "Traceback" not in result.stderr
