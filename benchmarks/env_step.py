# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
"""How much of the raw physics rate an environment's step keeps: `Physics.step` and `env.step`, interleaved.

Both step the same simulations of the same model with the same actions and substeps, in one process, turn by turn, so
that other load on the machine slows both alike. The raw turn only writes controls and steps, with the engine's check
for unstable simulations.
"""

from __future__ import annotations

import json
import time
from typing import Any

import torch

from deepcrl.cli.hydra.errors import ArgumentParser
from deepcrl.core.files import user_path
from deepcrl.envs import EnvInputs, make_task
from deepcrl.envs.physics.engines import make_physics
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv
from deepcrl.run.environment import describe_environment
from deepcrl.training.validate import select_device


def run(
    json_path: str | None,
    num_envs: int = 512,
    env: str = "ant",
    num_threads: int = 2,
    turns: int = 300,
    warmup_steps: int = 50,
    physics: str = "mujoco",
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Prints rates in environment steps per second and appends one JSON row per variant to `json_path`."""
    task = make_task({"name": env})
    assert isinstance(task, GoalTask)
    inputs = EnvInputs(
        num_envs=num_envs, episode_length=1000, seed=0, num_threads=num_threads, physics=physics, device=device
    )
    envs = TaskVectorEnv(task, inputs)
    envs.reset()
    generator = torch.Generator().manual_seed(1)
    actions = (2 * torch.rand(64, num_envs, task.spec.action_dim, generator=generator) - 1).to(envs.physics.device)
    for k in range(warmup_steps):
        envs.step(actions[k % len(actions)])
    raw = make_physics(physics, task.model, num_envs, num_threads, device)
    raw_ctrl = raw.field("ctrl")
    raw.step(task.substeps, False)  # an engine may compile
    rates: dict[str, list[float]] = {"raw": [], "env_step": []}
    for turn in range(turns):
        # One step each from the same states: what a step costs depends on the contacts, and only env.step resets
        saved, action = envs.state_dict(), actions[turn % len(actions)]
        raw.set_state(saved["physics"])
        control = task.control(envs.physics, action).clone()
        for variant in ("raw", "env_step") if turn % 2 else ("env_step", "raw"):
            _wait_for(envs.physics.device)
            start = time.perf_counter()
            if variant == "raw":
                raw_ctrl.copy_(control)
                raw.step(task.substeps, False)
            else:
                envs.step(action)
            _wait_for(envs.physics.device)
            rates[variant].append(num_envs / (time.perf_counter() - start))
    ratios = [step / raw for step, raw in zip(rates["env_step"], rates["raw"], strict=True)]
    about = {"env": env, "num_envs": num_envs, "num_threads": num_threads, "physics": physics, "device": device}
    rows = [_row(name, values, "env steps/s", about) for name, values in rates.items()]
    rows.append(_row("env_step_over_raw", ratios, "ratio", about))
    for row in rows:
        print(
            f"{env} {physics} {device} N={num_envs} threads={num_threads} {row['variant']:18} "
            f"median {row['median']:>10,.3f} {row['unit']}  (p20 {row['p20']:,.3f}, p80 {row['p80']:,.3f})"
        )
    if json_path is not None:
        here = describe_environment()
        facts = {"machine": here["machine"], "versions": here["versions"], "commit": here["git"]}
        with user_path(json_path).open("a") as file:
            file.writelines(json.dumps(row | facts) + "\n" for row in rows)
    return rows


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _row(variant: str, values: list[float], unit: str, about: dict[str, Any]) -> dict[str, Any]:
    p20, median, p80 = (
        torch.tensor(values, dtype=torch.float64).quantile(torch.tensor([0.2, 0.5, 0.8]).double()).tolist()
    )
    return {
        "benchmark": "env_step",
        "variant": variant,
        **about,
        "value": median,
        "unit": unit,
        "median": median,
        "p20": p20,
        "p80": p80,
    }


def main(argv: list[str] | None = None) -> None:
    """Parses the command line and runs the benchmark."""
    parser = ArgumentParser("deepcrl bench env_step", description=__doc__)
    parser.add_argument("--env", default="ant")
    parser.add_argument("--num-envs", type=int, default=512)
    parser.add_argument("--num-threads", type=int, default=2)
    parser.add_argument("--physics", default="mujoco", help="mujoco or mujoco_warp")
    parser.add_argument("--device", default="cpu", help="where mujoco_warp runs: auto, cpu or cuda")
    parser.add_argument("--json", default=None, help="append one JSON row per variant to this file")
    args = parser.parse_args(argv)
    run(
        args.json,
        num_envs=args.num_envs,
        env=args.env,
        num_threads=args.num_threads,
        physics=args.physics,
        device=str(select_device(args.device)),
    )


if __name__ == "__main__":
    main()
