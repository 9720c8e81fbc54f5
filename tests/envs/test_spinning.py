"""Stepping environments must not wake torch's OpenMP threads: they spin for milliseconds on the physics' processors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TASKS = "/proc/self/task"
NAMES = ("ant", "arm_grasp", "pusher_easy", "reacher")
_STEPS = f"""
import os, sys, torch
torch.set_num_threads(2)
from deepcrl.envs import make_envs

def count():
    return len(os.listdir("{TASKS}"))

for name in sys.argv[1:]:
    envs = make_envs(dict(name=name), num_envs=512, episode_length=1000, seed=0, num_threads=1)
    envs.reset()
    before = count()
    for _ in range(3):
        envs.step(torch.zeros(512, envs.spec.action_dim))
    envs._reset_envs(torch.arange(0, 512, 16))
    print(name, count() - before)
before = count()
torch.randn(512, 512).double().clone()  # this does wake them, or the test would see nothing
print("woken", count() - before)
"""


@pytest.fixture(scope="module")
def woken() -> dict[str, int]:
    """How many threads the steps of each task started, all in one process in which none had been started before."""
    ran = subprocess.run([sys.executable, "-c", _STEPS, *NAMES], capture_output=True, text=True, check=True)
    return {name: int(number) for name, number in map(str.split, ran.stdout.splitlines())}


@pytest.mark.skipif(not Path(TASKS).exists(), reason="needs Linux to count threads")
@pytest.mark.parametrize("name", NAMES)
def test_steps_and_resets_wake_no_thread(woken: dict[str, int], name: str) -> None:
    assert woken[name] == 0 < woken["woken"]
