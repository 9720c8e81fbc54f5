"""`deepcrl eval RUN_DIR`: scores a trained policy, also in another environment, with other seeds or other actions."""

from __future__ import annotations

import json

from deepcrl.cli.hydra.errors import ArgumentParser, UserError, given_path, user_errors
from deepcrl.cli.saved_run import with_overrides
from deepcrl.run.checkpoint import find
from deepcrl.run.directory import RunDir
from deepcrl.run.policy import trained_agent
from deepcrl.training.build import build_envs
from deepcrl.training.evaluate import evaluate_both


def main(arguments: list[str]) -> None:
    """Prints the scores, and appends them to `evaluations.jsonl` in the run directory."""
    parser = ArgumentParser("deepcrl eval", description=__doc__)
    parser.add_argument("run_dir", type=given_path, help="a run directory, or one of its checkpoints")
    parser.add_argument(
        "overrides",
        nargs="*",
        help="such as env=ant_u_maze_eval, seed=7, num_eval_envs=256, agent.evaluation=best_of agent.num_candidates=16",
    )
    parser.add_argument("--learner", default="", help="one of the run's learners, instead of the agent that acts")
    options = parser.parse_intermixed_args(arguments)
    with user_errors():
        checkpoint = find(options.run_dir)
        config = with_overrides(checkpoint.config, options.overrides)
        agent = trained_agent(checkpoint, config, options.learner)
        unstable_dir = RunDir(checkpoint.run_dir).unstable_dir
        envs = build_envs(config, config.evaluation_env, config.num_eval_envs, "eval", unstable_dir)
    scores = evaluate_both(agent, envs)
    unit = {"env_steps": "env steps", "grad_steps": "gradient steps"}[checkpoint.counter]
    episodes = f"{envs.num_envs} episodes of {envs.episode_length} steps"
    print(f"{checkpoint.run_dir} after {checkpoint.steps:,} {unit}, {episodes}")
    for name, value in scores.items():
        if not name.endswith("_stderr"):
            print(f"  {name:<30}{value:>10.3f} ± {scores.get(f'{name}_stderr', float('nan')):.3f}")
    row = {"env_steps": checkpoint.env_steps, "grad_steps": checkpoint.grad_steps, "learner": options.learner}
    row |= {"overrides": options.overrides, **scores}
    path = checkpoint.run_dir / "evaluations.jsonl"
    try:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise UserError(f"The scores above are not kept: cannot write to {path}: {error.strerror or error}") from error
