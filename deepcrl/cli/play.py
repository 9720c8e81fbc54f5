"""`deepcrl play RUN_DIR`: films evaluation episodes of a trained policy, or shows them live where there is a display."""

from __future__ import annotations

import argparse
from functools import partial

from deepcrl.cli.errors import UserError, user_errors
from deepcrl.cli.saved_run import with_overrides
from deepcrl.core.build import build_envs
from deepcrl.core.trained import Saved


def main(arguments: list[str]) -> None:
    """Writes an MP4 and a GIF into the run directory's `videos`, or opens the viewer with --live."""
    parser = argparse.ArgumentParser("deepcrl play", description=__doc__)
    parser.add_argument("run_dir", help="a run directory, or one of its checkpoints")
    parser.add_argument("overrides", nargs="*", help="such as env=ant_u_maze_eval seed=7 agent.evaluation=sample")
    parser.add_argument("--live", action="store_true", help="open MuJoCo's viewer instead")
    parser.add_argument("--camera", default="overview", help="a camera of the scene (default: overview)")
    parser.add_argument("--tiles", type=int, default=4, help="episodes side by side (default: 4)")
    parser.add_argument("--steps", type=int, default=None, help="control steps to film (default: one episode)")
    parser.add_argument("--size", type=int, default=320, help="pixels of a tile (default: 320)")
    options = parser.parse_args(arguments)
    from deepcrl.envs.render import view_live
    from deepcrl.envs.video import record_episodes

    with user_errors():
        saved = Saved.read(options.run_dir)
        config = with_overrides(saved, options.overrides)
        agent = saved.agent(config)
        envs = build_envs(config, config.evaluation_env, 1 if options.live else options.tiles, "play")
    act = partial(agent.act, explore=False)
    if options.live:
        with user_errors():
            view_live(envs, act)
        return
    name = f"{config.evaluation_env['name']}_{saved.env_steps}"
    mp4, gif = (saved.run_dir / "videos" / f"{name}.{ending}" for ending in ("mp4", "gif"))
    shape = {"num_steps": options.steps, "num_tiles": options.tiles, "size": options.size, "camera": options.camera}
    try:
        record_episodes(envs, act, mp4, gif, **shape)
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(str(error)) from error
    print(f"{mp4}\n{gif}")
