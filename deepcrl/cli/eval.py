"""`deepcrl eval RUN_DIR`: scores a trained policy, also in another environment, with other seeds or other actions."""

from __future__ import annotations

import json

from deepcrl.cli.hydra.errors import ArgumentParser, user_errors
from deepcrl.cli.saved_run import with_overrides
from deepcrl.run.directory import RunDir
from deepcrl.run.saved import Saved
from deepcrl.train.build import build_envs
from deepcrl.train.evaluate import evaluate


def main(arguments: list[str]) -> None:
    """Prints the scores, and appends them to `evaluations.jsonl` in the run directory."""
    parser = ArgumentParser("deepcrl eval", description=__doc__)
    parser.add_argument("run_dir", help="a run directory, or one of its checkpoints")
    parser.add_argument(
        "overrides",
        nargs="*",
        help="such as env=ant_u_maze_eval, seed=7, num_eval_envs=256, agent.evaluation=best_of agent.num_candidates=16",
    )
    parser.add_argument("--learner", default="", help="one of the run's learners, instead of the agent that acts")
    options = parser.parse_intermixed_args(arguments)
    with user_errors():
        saved = Saved.read(options.run_dir)
        config = with_overrides(saved, options.overrides)
        agent = saved.agent(config, options.learner)
        unstable_dir = RunDir(saved.run_dir).unstable_dir
        envs = build_envs(config, config.evaluation_env, config.num_eval_envs, "eval", unstable_dir)
    scores = evaluate(agent, envs)
    unit = {"env_steps": "env steps", "grad_steps": "gradient steps"}[saved.counter]
    print(f"{saved.run_dir} after {saved.steps:,} {unit}, {envs.num_envs} episodes of {envs.episode_length} steps")
    for name, value in scores.items():
        if not name.endswith("_stderr"):
            print(f"  {name:<22}{value:>10.3f} ± {scores.get(f'{name}_stderr', float('nan')):.3f}")
    row = {"env_steps": saved.env_steps, "grad_steps": saved.grad_steps, "learner": options.learner}
    row |= {"overrides": options.overrides, **scores}
    with (saved.run_dir / "evaluations.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
