"""A picture of every family of environments, and a page that shows them: `python -m docs.generate.gallery [DOCS]`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import numpy as np
import torch

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task
from deepcrl.envs.pictures.frames import tile
from deepcrl.envs.pictures.render import rendering
from deepcrl.envs.pictures.video import write_picture
from deepcrl.envs.settings import EnvInputs
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv

CAMERAS = ("overview", "track")
SIZE, STEPS, COLORS = 300, 10, 96


def families() -> dict[str, list[str]]:
    """Returns the names of each class of our tasks, under the shortest of them."""
    discover()
    names: dict[type, list[str]] = {}
    for name in ENVS:
        task = make_task({"name": name})
        if isinstance(task, GoalTask) and type(task).__module__.startswith("deepcrl."):
            names.setdefault(type(task), []).append(name)
    return {min(group, key=len): group for group in names.values()}


def picture(name: str) -> np.ndarray:
    """Returns the task after some random actions, seen by both cameras, [H, W, 3] uint8; errors as `Renderer`."""
    task = make_task({"name": name})
    assert isinstance(task, GoalTask)
    envs = TaskVectorEnv(task, EnvInputs(num_envs=1, episode_length=1000, seed=0))
    generator = torch.Generator().manual_seed(0)
    envs.reset()
    for _ in range(STEPS):
        envs.step(2 * torch.rand(1, envs.spec.action_dim, generator=generator) - 1)
    views = []
    for camera in CAMERAS:
        with rendering(envs, SIZE, SIZE, camera, shadows=True) as view:
            views.append(view(0))
    return tile(views)


def markdown() -> str:
    """Returns docs/gallery.md."""
    lines = [
        "# Gallery",
        "",
        "Made by `python -m docs.generate.gallery`; do not edit. Each family after ten random actions, as a whole and",
        "from near; the goal is green. Entries of states: [environments_reference.md](environments_reference.md).",
        "",
    ]
    for shown, names in families().items():
        task = make_task({"name": shown})
        assert isinstance(task, GoalTask)
        summary, spec = (inspect.getdoc(type(task)) or "").splitlines()[0], task.spec
        lines += [
            f"## {shown}",
            "",
            f"![{shown}](gallery/{shown}.png)",
            "",
            summary,
            "",
            f"- state {spec.state_dim}, action {spec.action_dim}, a control step of {task.ctrl_dt:g} s",
            f"- goal: {', '.join(task.goal_labels)}",
            f"- {', '.join(f'`{name}`' for name in names)}",
            "",
        ]
    return "\n".join(lines)


def main(docs: Path) -> None:
    """Writes `docs/gallery.md` and its pictures."""
    for name in families():
        write_picture(picture(name), docs / "gallery" / f"{name}.png", COLORS)
    (docs / "gallery.md").write_text(markdown())


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or ["docs"]))
