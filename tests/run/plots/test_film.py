"""Films and pictures of a policy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deepcrl.core.components import ENVS
from deepcrl.core.types import Observation
from deepcrl.run.plots import film as module
from deepcrl.run.plots.film import check_film, film
from deepcrl.run.policy import policy_of, random_policy
from tests.envs.test_check import Slider


def test_a_policy_does_not_explore() -> None:
    class Agent:
        def act(self, observation: Observation, *, explore: bool) -> bool:
            return explore

    assert policy_of(Agent())(Observation(torch.zeros(1), torch.zeros(1))) is False  # pyright: ignore


@pytest.mark.parametrize("name", ["a.gif", "a", "a.MP4"])
def test_other_endings_are_refused(tiny, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"^Unknown ending of .*Known: \.mp4, \.png$"):
        film(random_policy(tiny()), tiny(), tmp_path / name)


def test_what_has_no_picture_is_one_line(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "build_envs", lambda *_: object())
    with pytest.raises(RuntimeError, match="^env=point_u_maze cannot be drawn$"):
        film(random_policy(tiny()), tiny(), tmp_path / "a.mp4")


@pytest.mark.parametrize(("camera", "video"), [(False, True), (False, False), (True, True)])
def test_a_task_of_ones_own_without_a_camera_is_refused_if_it_is_to_be_filmed(tiny, camera: bool, video: bool) -> None:
    mine = type("Mine", (Slider,), {"camera": camera, "__init__": lambda self: None})
    ENVS.register("test_mine")(mine)
    try:
        config = tiny(env={"name": "test_mine"}, video=video)
        if video and not camera:
            with pytest.raises(ValueError, match="^env=test_mine: the model of Mine has no camera 'overview'"):
                check_film(config)
        else:
            check_film(config)
    finally:
        del ENVS._items["test_mine"], ENVS._schemas["test_mine"]
