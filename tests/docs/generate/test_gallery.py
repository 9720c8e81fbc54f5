"""The gallery: a page that is up to date, and a small picture of every family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcrl.core.components import ENVS
from deepcrl.envs import make_task
from deepcrl.envs.task import GoalTask
from docs.generate import gallery

DOCS = Path(__file__).parents[3] / "docs"
MAX_BYTES = 60_000


def test_the_page_is_what_the_command_writes() -> None:
    assert (DOCS / "gallery.md").read_text() == gallery.markdown()


def test_the_page_lists_every_task_once_and_shows_every_family() -> None:
    page = (DOCS / "gallery.md").read_text()
    families = gallery.families()
    tasks = {name: make_task({"name": name}) for name in ENVS}
    ours = {name for name, task in tasks.items() if isinstance(task, GoalTask) and "deepcrl" in type(task).__module__}
    listed = [name for names in families.values() for name in names]
    assert sorted(listed) == sorted(ours)
    for name in ours:
        assert f"`{name}`" in page
    for shown in families:
        assert f"![{shown}](gallery/{shown}.png)" in page
    assert {path.stem for path in (DOCS / "gallery").iterdir()} == set(families)


@pytest.mark.parametrize("shown", gallery.families())
def test_pictures_are_small_and_show_something(shown: str) -> None:
    path = DOCS / "gallery" / f"{shown}.png"
    assert path.stat().st_size < MAX_BYTES
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (300, 604, 3)
    for half in (pixels[:, :300], pixels[:, -300:]):
        assert half.std() > 3


def test_the_command_draws_a_family_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "families", lambda: {"point_maze": ["point_maze"]})
    gallery.main(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["gallery.md", "point_maze.png"]
    with Image.open(tmp_path / "gallery" / "point_maze.png") as image:
        assert image.size == (604, 300)
        colors = image.convert("RGB").getcolors(gallery.COLORS)
    assert colors is not None
    assert len(colors) > 10
    assert (tmp_path / "gallery.md").read_text() == gallery.markdown()
