"""`deepcrl play RUN_DIR`: films evaluation episodes of a trained policy, or shows them live on a display.

`deepcrl play env=NAME policy=random` needs no run: it films random actions in any environment.
"""

from __future__ import annotations

from pathlib import Path

from deepcrl.cli.hydra.errors import ArgumentParser, UserError, int_at_least, user_errors
from deepcrl.cli.hydra.overrides import split
from deepcrl.cli.saved_run import with_overrides, without_a_run
from deepcrl.core.checks import suggest
from deepcrl.core.files import user_path
from deepcrl.run.checkpoint import find
from deepcrl.run.plots.film import TILES, film
from deepcrl.run.policy import Act, policy_of, random_policy, trained_agent
from deepcrl.training.build import build_envs
from deepcrl.training.config import RunConfig

PLAY_SETTINGS = ("policy", "out")
"""Settings of `play` itself, which are no settings of a run."""


def main(arguments: list[str]) -> None:
    """Writes an MP4 and a GIF, or a PNG, or opens the viewer with --live."""
    parser = ArgumentParser("deepcrl play", description=__doc__)
    parser.add_argument("run_dir", nargs="?", help="a run directory, or one of its checkpoints; not with policy=random")
    parser.add_argument(
        "overrides",
        nargs="*",
        help="such as env=ant_u_maze_eval seed=7 agent.evaluation=sample; out=ant.mp4 (a GIF comes beside it) or "
        "out=ant.png (one picture) says where to; policy=random plays without a run",
    )
    parser.add_argument("--learner", default="", help="one of the run's learners, instead of the agent that acts")
    parser.add_argument("--live", action="store_true", help="open MuJoCo's viewer instead")
    parser.add_argument("--camera", default="overview", help="a camera of the scene (default: overview)")
    parser.add_argument(
        "--tiles", type=int_at_least(1), default=TILES, help=f"episodes side by side (default: {TILES})"
    )
    parser.add_argument(
        "--steps",
        type=int_at_least(1),
        default=None,
        help="control steps to film (default: one episode), or to take before a picture (default: none)",
    )
    parser.add_argument("--size", type=int_at_least(16), default=320, help="pixels of a tile (default: 320)")
    options = parser.parse_intermixed_args(arguments)
    given = [word for word in (options.run_dir, *options.overrides) if word is not None]
    with user_errors():
        act, config, path = _policy_config_path(given, options.learner)
        if options.live:
            _view_live(act, config)
            return
        shape = {"num_steps": options.steps, "num_tiles": options.tiles, "size": options.size}
        try:
            paths = film(act, config, path, camera=options.camera, **shape)
        except RuntimeError as error:  # no OpenGL here
            raise UserError(str(error)) from error
    print("\n".join(map(str, paths)))


def _policy_config_path(given: list[str], learner: str) -> tuple[Act, RunConfig, Path]:
    """Returns the policy, its config and the path of its film: by default in the run directory, or here."""
    given_to_play = dict(split(word) for word in given if split(word)[0] in PLAY_SETTINGS)
    others = [word for word in given if split(word)[0] not in PLAY_SETTINGS]
    if "policy" in given_to_play:
        if given_to_play["policy"] != "random":
            raise ValueError(suggest("policy", given_to_play["policy"], ("random",)))
        if others and "=" not in others[0]:
            raise ValueError(f"policy=random plays without a run: leave out {others[0]}")
        if learner:
            raise ValueError(f"policy=random has no learners: leave out --learner {learner}")
        config = without_a_run(others)
        act, path = random_policy(config), Path(f"{config.evaluation_env['name']}_random.mp4")
    elif others and not others[0].strip():
        raise ValueError(f"{others[0]!r} names nothing: give a path (is a shell variable not set?)")
    elif others and (user_path(others[0]).exists() or not others[0].startswith("env=")):
        checkpoint = find(user_path(others[0]))
        config = with_overrides(checkpoint.config, others[1:])
        act = policy_of(trained_agent(checkpoint, config, learner))
        path = checkpoint.run_dir / "videos" / learner / f"{config.evaluation_env['name']}_{checkpoint.steps}.mp4"
    else:
        raise ValueError("play needs a run directory, or env=NAME policy=random")
    return act, config, user_path(given_to_play["out"]) if "out" in given_to_play else path


def _view_live(act: Act, config: RunConfig) -> None:
    from deepcrl.envs.pictures.viewer import view_live

    view_live(build_envs(config, config.evaluation_env, 1, "play"), act)
