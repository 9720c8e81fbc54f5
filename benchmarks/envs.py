"""Environment steps per second of every family, beside Gymnasium's and Brax's nearest task: `deepcrl bench envs`.

Ours and the raw `Batch.step` take turns (see env_step.py). Gymnasium's vector environments are given their better of
two ways, one process (`SyncVectorEnv`) or a process per environment (`AsyncVectorEnv`). Brax runs the released code's
`spring` engine, jitted, its compilation not counted. Physics differ: read a row as "what a user of that package gets".
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import env_step

from deepcrl.cli.errors import ArgumentParser
from deepcrl.core.run_dir import describe_environment

PEERS: dict[str, dict[str, str]] = {
    "point_u_maze": {},
    "reacher": {"gymnasium": "Reacher-v5", "brax": "reacher"},
    "pusher_easy": {"gymnasium": "Pusher-v5"},
    "arm_reach": {},
    "arm_push_easy": {},
    "ant": {"gymnasium": "Ant-v5", "brax": "ant"},
    "ant_u_maze": {},
}
"""Environment -> the nearest task of each peer that has one."""
GYMNASIUM_ENVS = 8
"""Small: with 512 processes on a few cores Gymnasium would only get slower."""


def gymnasium_rate(name: str, seconds: float) -> dict[str, float]:
    """Returns env steps per second of Gymnasium's vector environments of the task `name`, by kind."""
    import gymnasium

    kinds = {"SyncVectorEnv": gymnasium.vector.SyncVectorEnv, "AsyncVectorEnv": gymnasium.vector.AsyncVectorEnv}
    rates = {}
    for kind, make in kinds.items():
        envs = make([lambda: gymnasium.make(name)] * GYMNASIUM_ENVS)
        envs.reset(seed=0)
        envs.action_space.seed(0)
        rates[kind] = _rate(lambda envs=envs: envs.step(envs.action_space.sample()), GYMNASIUM_ENVS, seconds)
        envs.close()
    return rates


def brax_rate(name: str, num_envs: int, seconds: float) -> float:
    """Returns env steps per second of Brax's task `name`, rolled out by one jitted scan of 20 steps."""
    import jax  # pyright: ignore[reportMissingImports] - an optional peer
    from brax import envs  # pyright: ignore[reportMissingImports] - an optional peer

    env, steps = envs.get_environment(name, backend="spring"), 20

    def step(state: Any, key: Any) -> tuple[Any, None]:
        action = jax.random.uniform(key, (num_envs, env.action_size), minval=-1, maxval=1)
        return jax.vmap(env.step)(state, action), None

    roll = jax.jit(lambda state, key: jax.lax.scan(step, state, jax.random.split(key, steps))[0])
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), num_envs))
    key = jax.random.PRNGKey(1)
    jax.block_until_ready(roll(state, key))
    return _rate(lambda: jax.block_until_ready(roll(state, key)), num_envs * steps, seconds)


def _rate(step: Callable[[], object], env_steps: int, seconds: float) -> float:
    """Returns env steps per second of calling `step`, which takes `env_steps`, for about `seconds`."""
    step()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        count += 1
    return count * env_steps / (time.perf_counter() - start)


def run(
    names: list[str], num_envs: int = 512, num_threads: int = 2, seconds: float = 5.0, turns: int = 100
) -> list[dict[str, Any]]:
    """Prints a line per environment and variant and returns the rows."""
    rows = []
    for name in names:
        ours = env_step.run(None, num_envs=num_envs, env=name, num_threads=num_threads, turns=turns)
        rate = next(row["value"] for row in ours if row["variant"] == "env_step")
        rows += [row | {"benchmark": "envs"} for row in ours]
        peers = PEERS.get(name, {})
        others = gymnasium_rate(peers["gymnasium"], seconds) if "gymnasium" in peers else {}
        if "brax" in peers and importlib.util.find_spec("brax") is not None:
            others["brax"] = brax_rate(peers["brax"], num_envs, seconds)
        for variant, value in others.items():
            print(f"{name}  {variant:18} {value:>10,.0f} env steps/s, {rate / value:.1f}x slower than ours")
            sizes = {"num_envs": num_envs if variant == "brax" else GYMNASIUM_ENVS, "num_threads": num_threads}
            row = {"benchmark": "envs", "variant": variant, "env": name, "value": value, "unit": "env steps/s"}
            rows.append(row | sizes)
    return rows


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = ArgumentParser("deepcrl bench envs", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PEERS), help=f"environments (default: {' '.join(PEERS)})")
    parser.add_argument("--num-envs", type=int, default=512)
    parser.add_argument("--num-threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="measuring time per peer")
    parser.add_argument("--json", type=Path, help="append one JSON row per variant to this file")
    args = parser.parse_args(argv)
    rows = run(args.names, args.num_envs, args.num_threads, args.seconds)
    if args.json:
        about = describe_environment()
        facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
        with args.json.open("a") as file:
            file.writelines(json.dumps(row | facts) + "\n" for row in rows)


if __name__ == "__main__":
    main()
