"""Compares the memory predicted before training with what gradient steps take: `deepcrl bench memory`.

Each variant runs in a process of its own: it sizes up a run as `deepcrl train` does, builds the agent and the ring,
fills the ring, takes three gradient steps, and reads the peak of its resident set from the system. Both numbers are
growths: what the process had before anything was built is subtracted. Linux on a CPU only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

from deepcrl.cli.hydra.errors import ArgumentParser
from deepcrl.core.components import AGENTS, BUFFERS, ENCODERS, ENERGIES, ENVS, LOGGERS, LOSSES, discover
from deepcrl.core.files import user_path
from deepcrl.core.types import Observation, Step
from deepcrl.run.environment import describe_environment
from deepcrl.training.build import build_agent, build_buffer, env_spec
from deepcrl.training.config import RunConfig
from deepcrl.training.process import configure_process
from deepcrl.training.sizing.table import format_bytes, preflight
from deepcrl.training.validate import validated

DEPTHS, PRECISIONS, CHECKPOINTS = (64, 256, 1024), ("fp32", "bf16"), ("none",)
NUM_ENVS, CAPACITY = 64, 1000


def make_config(depth: int, precision: str, checkpoint_blocks: str, batch_size: int, num_threads: int) -> RunConfig:
    """Returns a run on `ant` with networks of width 256 and a small ring."""
    encoder = {"depth": depth, "width": 256, "checkpoint_blocks": checkpoint_blocks}
    return validated(
        {
            "env": ENVS.defaults("ant"),
            "agent": AGENTS.defaults("crl"),
            "encoder": ENCODERS.defaults("residual_mlp") | encoder,
            "energy": ENERGIES.defaults("norm"),
            "loss": LOSSES.defaults("infonce"),
            "buffer": BUFFERS.defaults("ring") | {"capacity": CAPACITY},
            "logger": LOGGERS.defaults("none"),
            "num_envs": NUM_ENVS,
            "batch_size": batch_size,
            "precision": precision,
            "num_threads": num_threads,
            "device": "cpu",
        }
    )


def measure(config: RunConfig) -> dict[str, int]:
    """Returns the predicted and the measured growth in bytes. The process should have done nothing else before."""
    device, spec = torch.device("cpu"), env_spec(config)
    configure_process(config, device)
    sizes = preflight(config, spec, device)
    before = psutil.Process().memory_info().rss
    agent, ring = build_agent(config, spec, device), build_buffer(config, spec, device)
    draws = torch.Generator().manual_seed(0)
    no, zero = torch.zeros(NUM_ENVS, dtype=torch.bool), torch.zeros(NUM_ENVS)
    for i in range(CAPACITY):
        sizes_of_row = (spec.state_dim, spec.goal_dim, spec.action_dim)
        state, goal, action = (torch.randn(NUM_ENVS, n, generator=draws) for n in sizes_of_row)
        observation = Observation(state, goal)
        step = Step(observation, state, zero, no, no, no, torch.full((NUM_ENVS,), i // 500))
        ring.insert(observation, action.tanh(), step)
    for _ in range(3):
        agent.update(ring.sample(config.batch_size))
    assert sizes.step_bytes is not None
    predicted = sizes.total_bytes - sizes.process_bytes - sizes.simulation_bytes  # nothing is simulated here
    return {"predicted": predicted, "measured": _peak_resident_bytes() - before}


def _peak_resident_bytes() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def _in_process(*settings: Any) -> dict[str, int]:
    command = [sys.executable, __file__, "--one", *map(str, settings)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark from the command line; `--json FILE` appends one JSON row per variant."""
    parser = ArgumentParser("deepcrl bench memory", description=__doc__)
    parser.add_argument("--depths", type=int, nargs="+", default=list(DEPTHS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--checkpoint-blocks", nargs="+", default=list(CHECKPOINTS))
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=user_path, help="append rows to this file")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    discover()
    if args.one:
        depth, precision, blocks, batch_size, threads = args.one
        print(json.dumps(measure(make_config(int(depth), precision, blocks, int(batch_size), int(threads)))))
        return
    about = describe_environment()
    facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
    print("growth of the resident set          predicted   measured")
    for depth in args.depths:
        for precision in args.precisions:
            for blocks in args.checkpoint_blocks:
                sizes = _in_process(depth, precision, blocks, args.batch_size, args.threads)
                error = sizes["predicted"] / sizes["measured"] - 1
                name = f"depth {depth} {precision} checkpoint {blocks}"
                both = "  ".join(f"{format_bytes(count):>10}" for count in sizes.values())
                print(f"  {name:<30}{both}  {error:+.1%}", flush=True)
                row = {"benchmark": "memory", "variant": f"checkpoint_blocks={blocks}", "depth": depth}
                row |= {"batch_size": args.batch_size, "precision": precision, "unit": "bytes"}
                row |= {"value": sizes["measured"], "predicted": sizes["predicted"], "num_threads": args.threads}
                if args.json:
                    with args.json.open("a") as file:
                        file.write(json.dumps(row | facts) + "\n")


if __name__ == "__main__":
    main()
