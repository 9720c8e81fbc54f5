"""Films and pictures of a policy, and the random one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deepcrl.core.types import Observation
from deepcrl.run import film as module
from deepcrl.run.film import film, policy_of, random_policy


def test_random_actions_fill_their_box_and_follow_the_seed(tiny) -> None:
    observation = Observation(torch.zeros(4000, 29), torch.zeros(4000, 2))
    ant = {"name": "ant"}
    act = random_policy(tiny(env=ant))
    actions = act(observation)
    assert actions.shape == (4000, 8)
    counts = torch.histc(actions, 20, -1, 1)
    assert counts.sum() == 32_000
    assert float(((counts - 1600) ** 2 / 1600).sum()) < 43.8  # chi-square, 19 degrees of freedom, p = 0.001
    assert not torch.equal(actions, act(observation))
    assert torch.equal(actions, random_policy(tiny(env=ant))(observation))
    assert not torch.equal(actions, random_policy(tiny(env=ant, seed=1))(observation))


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
