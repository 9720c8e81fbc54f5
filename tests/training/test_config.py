"""RunConfig: checks across settings, the schedule they come to, and what may change on resume."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from deepcrl.training.config import RunConfig
from deepcrl.training.schedule import Schedule
from deepcrl.training.validate import select_device

PAPER = {"buffer": {"name": "ring", "capacity": 200, "sampling": "paper"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": 1}, "batch_size must be at least 2, got 1: one pair has no negatives"),
        (
            {"buffer": {"name": "ring", "repeat": 17}, "batch_size": 16},
            "buffer.repeat=17 steps of a trajectory do not fit into batch_size=16",
        ),
        ({"num_envs": 0}, "num_envs must be at least 1, got 0"),
        ({"num_envs": -3}, "num_envs must be at least 1, got -3"),
        ({"num_eval_envs": 0}, "num_eval_envs must be at least 1"),
        ({"episode_length": 1}, "episode_length must be at least 2, got 1"),
        ({"unroll_length": 0}, "unroll_length must be at least 1"),
        ({"grad_steps_per_unroll": 0}, "grad_steps_per_unroll must be at least 1"),
        ({"total_env_steps": -1}, "total_env_steps must be at least 1"),
        ({"total_grad_steps": 0}, "total_grad_steps must be at least 1"),
        ({"eval_every": 0}, "eval_every must be at least 1"),
        ({"checkpoint_every": 0}, "checkpoint_every must be at least 1"),
        ({"keep_checkpoints": 0}, "keep_checkpoints must be at least 1"),
        ({"prefill_steps": 1}, "prefill_steps must be at least 2"),
        ({"num_threads": -1}, "num_threads must be at least 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"unroll_length": 300}, "unroll_length=300 is longer than the ring: buffer.capacity=200"),
        ({"prefill_steps": 300}, "prefill_steps=300 does not fit in the ring: buffer.capacity=200"),
        (PAPER, "windows of episode_length=20 steps: prefill_steps=20 is 20 in whole unrolls; use 21"),
        (PAPER | {"prefill_steps": 21, "batch_size": 77}, "they hold 76 transitions, fewer than batch_size=77"),
        ({"total_env_steps": 99}, "total_env_steps=99 ends before .* so at least 100 are needed"),
        ({"precision": "fp8"}, "Unknown precision 'fp8'. .*Known: auto, bf16, fp32, tf32"),
        ({"device": "tpu"}, "Unknown device 'tpu'. Did you mean 'cpu'"),
        ({"device": "meta"}, "Unknown device 'meta'"),
        ({"kernels": "eagr"}, "Unknown kernels 'eagr'. Did you mean 'eager'"),
        ({"physics": "mujco"}, "Unknown physics 'mujco'. Did you mean 'mujoco'"),
        ({"reset": "resmple"}, "Unknown reset policy 'resmple'. Did you mean 'resample'"),
        ({"nmu_envs": 3}, "Unknown setting 'nmu_envs'. Did you mean 'num_envs'"),
    ],
)
def test_refuses_in_one_line(tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        tiny(**changes)
    assert "\n" not in str(raised.value)


def test_a_gpu_that_is_not_there(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="device=cuda, but this PyTorch sees no GPU"):
        tiny(device="cuda")
    assert select_device("auto").type == "cpu"


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert select_device("auto").type == "cuda"
    assert select_device("cuda:1").index == 1
    with pytest.raises(ValueError, match="device=cuda:2, but this machine has 2 GPUs, counted from cuda:0"):
        select_device("cuda:2")


@pytest.mark.parametrize(
    ("changes", "prefill", "training"),
    [
        ({}, 4, 16),
        ({"total_env_steps": 419}, 4, 16),  # the last, incomplete unroll is left out
        ({"prefill_steps": 21}, 5, 15),  # a prefill is whole unrolls
        ({"total_env_steps": 100}, 4, 1),
        ({"num_envs": 8}, 4, 6),  # prefill counts steps of each environment, the total those of all
    ],
)
def test_schedule(tiny, changes: dict[str, Any], prefill: int, training: int) -> None:
    config = tiny(**changes)
    schedule = Schedule.of(config)
    assert (schedule.prefill_unrolls, schedule.training_unrolls) == (prefill, training)
    assert schedule.env_steps_per_unroll == config.num_envs * 5
    assert schedule.total_env_steps == (prefill + training) * config.num_envs * 5
    assert schedule.total_grad_steps == 4 * training


def test_an_offline_run_is_counted_in_gradient_steps(tiny) -> None:
    offline = {"buffer": {"name": "dataset", "path": "data.npz"}, "grad_steps_per_unroll": 4}
    config = tiny(**offline, total_grad_steps=42, total_env_steps=1)
    schedule = Schedule.of(config)
    assert config.offline
    assert (schedule.prefill_unrolls, schedule.training_unrolls) == (0, 10)  # the last, incomplete round is left out
    assert (schedule.total_env_steps, schedule.total_grad_steps) == (0, 40)
    assert (schedule.counter, schedule.total_steps, schedule.steps_per_unroll) == ("grad_steps", 40, 4)
    with pytest.raises(ValueError, match="^total_grad_steps=3 is less than one round of grad_steps_per_unroll=4$"):
        tiny(**offline, total_grad_steps=3)


def test_a_run_that_collects_is_counted_in_env_steps(tiny) -> None:
    config = tiny(total_grad_steps=1)
    schedule = Schedule.of(config)
    assert not config.offline
    assert (schedule.counter, schedule.total_steps, schedule.steps_per_unroll) == ("env_steps", 400, 20)


def test_the_most_specific_encoder_counts(tiny) -> None:
    def named(name: str) -> dict[str, Any]:
        return {"name": name}

    plain = tiny(encoder=named("a"))
    assert [plain.encoder_of(net)["name"] for net in ("actor", "sa_encoder", "goal_encoder")] == ["a", "a", "a"]
    critic = tiny(encoder=named("a"), critic_encoder=named("b"))
    assert [critic.encoder_of(net)["name"] for net in ("actor", "sa_encoder", "goal_encoder")] == ["a", "b", "b"]
    each = tiny(
        encoder=named("a"),
        critic_encoder=named("b"),
        sa_encoder=named("c"),
        goal_encoder=named("d"),
        actor_encoder=named("e"),
    )
    assert [each.encoder_of(net)["name"] for net in ("actor", "sa_encoder", "goal_encoder")] == ["e", "c", "d"]


def test_evaluates_in_the_training_environment_unless_told(tiny) -> None:
    assert tiny().evaluation_env["name"] == "point_u_maze"
    assert tiny(eval_env={"name": "point_u_maze_eval"}).evaluation_env["name"] == "point_u_maze_eval"


def test_survives_a_round_trip(tiny) -> None:
    config = tiny(seed=3)
    assert RunConfig.from_dict(config.to_dict()) == config


def test_a_fresh_process_can_read_a_configuration() -> None:
    """As `deepcrl play` does: nothing has imported the buffers."""
    code = "from deepcrl.training.config import RunConfig; print(RunConfig(buffer={'name': 'ring'}).offline)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("False\n", "")
