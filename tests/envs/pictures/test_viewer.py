"""The live viewer: it follows the environment, and needs a display."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import mujoco
import pytest

from deepcrl.envs.pictures import viewer
from deepcrl.envs.pictures.viewer import view_live
from tests.envs.pictures.scenes import Foreign, point_maze, still


def test_an_environment_without_a_scene_is_refused() -> None:
    foreign: Any = Foreign()
    with pytest.raises(ValueError, match="Foreign has no MuJoCo scene"):
        view_live(foreign, still)


def test_no_display_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "has_display", lambda: False)
    with pytest.raises(ValueError, match=r"^There is no display .* record a video instead$"):
        view_live(point_maze(), still)


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_display_detection(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for each in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(each, raising=False)
    assert not viewer.has_display()
    monkeypatch.setenv(name, ":0")
    assert viewer.has_display()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv(name)
    assert viewer.has_display()


class FakeViewer:
    """Stands for MuJoCo's window: stays open for three looks."""

    def __init__(self, data: mujoco.MjData) -> None:
        self.data, self.times = data, []

    def is_running(self) -> bool:
        return len(self.times) < 3

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def sync(self) -> None:
        self.times.append(self.data.time)


def test_the_viewer_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    env = point_maze()
    opened = []

    @contextlib.contextmanager
    def launch_passive(model: mujoco.MjModel, data: mujoco.MjData) -> Iterator[FakeViewer]:
        assert model is not env.task.model
        opened.append(FakeViewer(data))
        yield opened[0]

    monkeypatch.setattr(viewer, "has_display", lambda: True)
    monkeypatch.setattr(viewer, "_sleep", lambda seconds: None)
    monkeypatch.setitem(sys.modules, "mujoco.viewer", type("viewer", (), {"launch_passive": launch_passive}))
    view_live(env, still)
    assert opened[0].times == pytest.approx([0.05, 0.1, 0.15])
