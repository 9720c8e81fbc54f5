"""`deepcrl collect FILE.npz env=NAME`: lets a scripted policy act and writes what it does as a dataset."""

from __future__ import annotations

from deepcrl.cli.export import learn_command
from deepcrl.cli.hydra.errors import ArgumentParser, int_at_least, user_errors
from deepcrl.cli.saved_run import WITHOUT_A_RUN, without_a_run
from deepcrl.core.checks import one_of
from deepcrl.core.files import user_path
from deepcrl.run.datasets.collect import POLICIES, collect
from deepcrl.run.datasets.export import check_new
from deepcrl.run.hints import typed
from deepcrl.training.config import RunConfig

SEED = "{seed}"


def main(arguments: list[str]) -> None:
    """Writes a dataset, or one for each seed, and says how to learn from it."""
    parser = ArgumentParser("deepcrl collect", description=__doc__)
    parser.add_argument("path", metavar="FILE.npz", help=f"a new file; {SEED} in its name stands for the seed")
    parser.add_argument("overrides", nargs="*", help="such as env=point_maze env.layout=perfect_21 seed=3 num_envs=64")
    parser.add_argument(
        "--policy", default="walker", help="walker (default): to one cell of a maze after another; random"
    )
    parser.add_argument("--steps", type=int_at_least(2), default=200_000, help="of all environments (default: 200000)")
    parser.add_argument("--noise", type=float, default=0.5, help="of the walker's actions (default: 0.5)")
    parser.add_argument(
        "--seeds", type=int_at_least(1), help="write a file for each seed below; it also draws the maze"
    )
    options = parser.parse_intermixed_args(arguments)
    with user_errors():
        one_of("policy", options.policy, POLICIES)
        configs = [_config(options.overrides)]
        if options.seeds:
            if SEED not in options.path:
                raise ValueError(f"--seeds writes several files: put {SEED} into the name, such as walks/{SEED}.npz")
            configs = [_config([*options.overrides, *_seeded(configs[0], seed)]) for seed in range(options.seeds)]
        paths = [user_path(options.path.replace(SEED, str(config.seed))) for config in configs]
        for path in paths:
            check_new(path)
        policies = [POLICIES[options.policy](config, options.noise) for config in configs]
        for config, path, act in zip(configs, paths, policies, strict=True):
            arrays = collect(config, act, options.steps, path)
            num, trajectories = len(arrays["terminals"]), int(arrays["terminals"].sum())
            print(f"{path}: {num:,} steps in {trajectories:,} trajectories", flush=True)
    print(f"learn from it: {learn_command(configs[-1], typed(paths[-1]))}")


def _config(overrides: list[str]) -> RunConfig:
    return without_a_run(overrides, known=(*WITHOUT_A_RUN, "num_envs"))


def _seeded(config: RunConfig, seed: int) -> list[str]:
    """Returns the overrides that repeat a collection with another seed, and another maze where mazes are drawn."""
    is_drawn = str(config.env.get("layout", "")).startswith("perfect_")
    return [f"seed={seed}", *([f"env.layout_seed={seed}"] if is_drawn else [])]
