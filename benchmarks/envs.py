"""Environment steps per second of every family, beside Gymnasium's and Brax's nearest task: `deepcrl bench envs`.

Ours and the raw `Physics.step` take turns (see env_step.py). Gymnasium's vector environments are given their better of
two ways, one process (`SyncVectorEnv`) or a process per environment (`AsyncVectorEnv`). Brax runs the reference
repositories' engine, jitted, its compilation not counted. Physics differ: read a row as "what a user of that package
gets". Peers come with `pip install 'deepcrl[bench]'`; one that is not installed is left out.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import env_step

from deepcrl.cli.hydra.errors import ArgumentParser
from deepcrl.core.files import user_path
from deepcrl.envs.gymnasium import robotics_shim
from deepcrl.run.environment import describe_environment


class Peers(NamedTuple):
    """The nearest task of each package that has one."""

    gymnasium: str | None = None
    """Of Gymnasium, or of gymnasium-robotics, whose tasks are measured where it is installed."""
    brax: str | None = None
    engine: str = "spring"
    """Brax's engine, as the reference repositories choose it for the task."""


_ANT, _HUMANOID = Peers("Ant-v5", "ant"), Peers("Humanoid-v5", "humanoid")
_PUSHER, _PICK = Peers("Pusher-v5"), Peers("FetchPickAndPlace-v4")
PEERS: dict[str, Peers] = {
    "reacher": Peers("Reacher-v5", "reacher"),
    "pusher_easy": _PUSHER,  # not Brax's: its `generalized` pusher had not compiled after ten minutes
    "pusher_reacher": _PUSHER,
    "pusher2": _PUSHER,
    "arm_reach": Peers("FetchReach-v4"),
    "arm_push_easy": Peers("FetchPush-v4"),
    "arm_binpick_easy": _PICK,
    "arm_binpick_easy_eef": _PICK,
    "arm_grasp": _PICK,
    "point_u_maze": Peers("PointMaze_UMaze-v3"),
    "half_cheetah": Peers("HalfCheetah-v5", "halfcheetah", "mjx"),
    "ant": _ANT,
    "ant_u_maze": Peers("AntMaze_UMaze-v5", "ant"),
    "ant_ball": _ANT,
    "ant_ball_u_maze": _ANT,
    "ant_push": Peers("Ant-v5", "ant", "mjx"),
    "humanoid": _HUMANOID,
    "humanoid_u_maze": _HUMANOID,
}
"""One environment of every family."""
GYMNASIUM_ENVS = 8
"""Small: with 512 processes on a few cores Gymnasium would only get slower."""


def in_gymnasium(name: str) -> bool:
    """Whether the task `name` is in Gymnasium, with gymnasium-robotics if that is installed."""
    import gymnasium

    if importlib.util.find_spec("gymnasium_robotics") is not None:
        robotics_shim.apply()
    return name in gymnasium.registry


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


def brax_rate(name: str, engine: str, num_envs: int, seconds: float) -> float:
    """Returns env steps per second of Brax's task `name`, rolled out by one jitted scan of 20 steps."""
    import jax  # pyright: ignore[reportMissingImports] - an optional peer
    from brax import envs  # pyright: ignore[reportMissingImports] - an optional peer

    env, steps = envs.get_environment(name, backend=engine), 20

    def step(state: Any, key: Any) -> tuple[Any, None]:
        action = jax.random.uniform(key, (num_envs, env.action_size), minval=-1, maxval=1)
        return jax.vmap(env.step)(state, action), None

    roll = jax.jit(lambda state, key: jax.lax.scan(step, state, jax.random.split(key, steps))[0])
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), num_envs))
    key = jax.random.PRNGKey(1)
    jax.block_until_ready(roll(state, key))
    return _rate(lambda: jax.block_until_ready(roll(state, key)), num_envs * steps, seconds)


def peer_rates(peers: Peers, num_envs: int, seconds: float) -> list[dict[str, Any]]:
    """Returns variant, task, number of environments and rate of each peer that is installed here."""
    rates = []
    if peers.gymnasium is not None and in_gymnasium(peers.gymnasium):
        for kind, rate in gymnasium_rate(peers.gymnasium, seconds).items():
            rates.append({"variant": kind, "task": peers.gymnasium, "num_envs": GYMNASIUM_ENVS, "value": rate})
    if peers.brax is not None and importlib.util.find_spec("brax") is not None:
        rate = brax_rate(peers.brax, peers.engine, num_envs, seconds)
        task = f"{peers.brax} ({peers.engine})"
        rates.append({"variant": "brax", "task": task, "num_envs": num_envs, "value": rate})
    return rates


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
        for peer in peer_rates(PEERS.get(name, Peers()), num_envs, seconds):
            print(
                f"{name}  {peer['variant']:18} {peer['value']:>10,.0f} env steps/s on {peer['task']}, "
                f"ours is {rate / peer['value']:.1f} times as fast"
            )
            rows.append({"benchmark": "envs", "env": name, "num_threads": num_threads, "unit": "env steps/s"} | peer)
    return rows


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = ArgumentParser("deepcrl bench envs", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PEERS), help=f"environments (default: {' '.join(PEERS)})")
    parser.add_argument("--num-envs", type=int, default=512)
    parser.add_argument("--num-threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="measuring time per peer")
    parser.add_argument("--json", type=user_path, help="append one JSON row per variant to this file")
    args = parser.parse_args(argv)
    rows = run(args.names, args.num_envs, args.num_threads, args.seconds)
    if args.json:
        about = describe_environment()
        facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
        with args.json.open("a") as file:
            file.writelines(json.dumps(row | facts) + "\n" for row in rows)


if __name__ == "__main__":
    main()
