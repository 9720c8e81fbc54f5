"""`deepcrl play RUN_DIR`: films evaluation episodes of a trained policy, or shows them live on a display."""

from __future__ import annotations

from functools import partial

from deepcrl.cli.errors import ArgumentParser, UserError, at_least, user_errors
from deepcrl.cli.saved_run import with_overrides
from deepcrl.core.build import build_envs
from deepcrl.core.config import RunConfig
from deepcrl.core.film import TILES, film
from deepcrl.core.trained import Saved
from deepcrl.core.types import Agent


def main(arguments: list[str]) -> None:
    """Writes an MP4 and a GIF into the run directory's `videos`, or opens the viewer with --live."""
    parser = ArgumentParser("deepcrl play", description=__doc__)
    parser.add_argument("run_dir", help="a run directory, or one of its checkpoints")
    parser.add_argument("overrides", nargs="*", help="such as env=ant_u_maze_eval seed=7 agent.evaluation=sample")
    parser.add_argument("--learner", default="", help="one of the run's learners, instead of the agent that acts")
    parser.add_argument("--live", action="store_true", help="open MuJoCo's viewer instead")
    parser.add_argument("--camera", default="overview", help="a camera of the scene (default: overview)")
    parser.add_argument("--tiles", type=at_least(1), default=TILES, help=f"episodes side by side (default: {TILES})")
    parser.add_argument("--steps", type=at_least(1), default=None, help="control steps to film (default: one episode)")
    parser.add_argument("--size", type=at_least(16), default=320, help="pixels of a tile (default: 320)")
    options = parser.parse_intermixed_args(arguments)
    with user_errors():
        saved = Saved.read(options.run_dir)
        config = with_overrides(saved, options.overrides)
        agent = saved.agent(config, options.learner)
        if options.live:
            _show(agent, config)
            return
        shape = {"num_steps": options.steps, "num_tiles": options.tiles, "size": options.size}
        try:
            paths = film(
                agent,
                config,
                saved.run_dir / "videos" / options.learner,
                saved.steps,
                camera=options.camera,
                **shape,
            )
        except RuntimeError as error:  # no OpenGL here
            raise UserError(str(error)) from error
    print("\n".join(map(str, paths)))


def _show(agent: Agent, config: RunConfig) -> None:
    from deepcrl.envs.render import view_live

    view_live(build_envs(config, config.evaluation_env, 1, "play"), partial(agent.act, explore=False))
