"""Stepping environments must not wake torch's OpenMP threads: they spin for milliseconds on the physics' processors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TASKS = "/proc/self/task"
_STEPS = f"""
import os, sys, torch
torch.set_num_threads(2)
from deepcrl.envs import make_envs
envs = make_envs(dict(name=sys.argv[1]), num_envs=512, episode_length=1000, seed=0, num_threads=1)
envs.reset()
before = len(os.listdir("{TASKS}"))
for _ in range(3):
    envs.step(torch.zeros(512, envs.spec.action_dim))
envs._reset_envs(torch.arange(0, 512, 16))
after = len(os.listdir("{TASKS}"))
torch.randn(512, 512).double().clone()  # this does wake them, or the test would see nothing
print(before, after, len(os.listdir("{TASKS}")))
"""


@pytest.mark.skipif(not Path(TASKS).exists(), reason="needs Linux to count threads")
@pytest.mark.parametrize("name", ["ant", "arm_grasp", "pusher_easy", "reacher"])
def test_steps_and_resets_wake_no_thread(name):
    ran = subprocess.run([sys.executable, "-c", _STEPS, name], capture_output=True, text=True, check=True)
    before, after, at_last = map(int, ran.stdout.split())
    assert after == before < at_last
