"""Other people's environments that misbehave: one line that names the environment, and the field."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from deepcrl.core.types import EnvError
from deepcrl.envs import make_task
from deepcrl.envs.pictures.render import rendering
from deepcrl.envs.usable import LARGEST
from tests.envs.walk import build

pytestmark = pytest.mark.usefixtures("toys")
FAULTY = "env.id=toy/Faulty-v0: "


def faulty(num_envs: int = 2, vectorization: str = "sync", **kwargs: Any):
    return build("toy/Faulty-v0", num_envs=num_envs, vectorization=vectorization, kwargs=kwargs)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e30", "9e9"])
@pytest.mark.parametrize(
    ("field", "said"),
    [("observation", "observation[2]"), ("achieved_goal", "achieved_goal[0]"), ("desired_goal", "desired_goal[0]")],
)
def test_bad_numbers_after_a_reset(field: str, said: str, value: str) -> None:
    with pytest.raises(EnvError) as error:
        faulty(field=field, value=value).reset()
    assert str(error.value).startswith(
        f"{FAULTY}{said} of environment 0 is {float(value):g}, which cannot be trained on"
    )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["nan", "1e30"])
def test_bad_numbers_after_the_first_step_of_an_episode(value: str) -> None:
    envs = faulty(field="observation", value=value, when=1)
    envs.reset()
    with pytest.raises(EnvError, match=r"observation\[2\] of environment 0 is .* after the first step of an episode"):
        envs.step(torch.zeros(2, 1))


@pytest.mark.parametrize("value", ["nan", "1e30", "9e9"])
def test_bad_numbers_later_end_their_episodes_and_are_told_once(value: str) -> None:
    envs = faulty(field="observation", value=value, when=3)
    envs.reset()
    with pytest.warns(
        UserWarning, match=rf"{FAULTY}observation\[2\] of environment 0 is .*; such episodes end"
    ) as said:
        steps = [envs.step(torch.zeros(2, 1)) for _ in range(7)]
    assert len(said) == 1
    assert [step.truncated.all().item() for step in steps] == [False, False, True, False, False, True, False]
    assert all(step.next_state.abs().max() < 1 for step in steps)
    assert envs.num_unstable == 4


def test_a_goal_that_becomes_nan() -> None:
    envs = faulty(field="desired_goal", when=2)
    envs.reset()
    envs.step(torch.zeros(2, 1))
    with pytest.raises(EnvError, match=r"desired_goal\[0\] of environment 0 is nan, which cannot be trained on"):
        envs.step(torch.zeros(2, 1))


def test_what_float32_can_still_count_is_taken() -> None:
    assert faulty(field="observation", value=str(LARGEST)).reset().state.max() == LARGEST


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_one_that_raises_in_step(vectorization: str) -> None:
    envs = faulty(vectorization=vectorization, field="raise", when=2)
    envs.reset()
    envs.step(torch.zeros(2, 1))
    with (
        warnings.catch_warnings(action="error"),  # nothing else is printed
        pytest.raises(EnvError, match="^env.id=toy/Faulty-v0 raised in step: RuntimeError: the sensor is gone$"),
    ):
        envs.step(torch.zeros(2, 1))
    envs._envs.close(terminate=True)


def test_one_that_never_works_is_said_when_it_is_looked_at() -> None:
    with pytest.raises(ValueError, match="^env.id=toy/Faulty-v0 cannot be stepped: the sensor is gone$"):
        make_task({"name": "gymnasium", "id": "toy/Faulty-v0", "kwargs": {"field": "raise"}}).spec  # noqa: B018


def test_whole_numbers_have_equal_shares_of_the_interval() -> None:
    whole = {"goal_indices": [0], "goal_low": [0], "goal_high": [0], "success_radius": 1}
    envs = build("toy/Whole-v0", num_envs=1, **whole)
    actions = torch.linspace(-1, 1, 5001)[:, None].double()
    taken = torch.from_numpy(envs.task.to_action_space(actions))[:, 0]
    assert taken.dtype == torch.int64
    assert (taken[0], taken[-1]) == (-1, 3)
    assert torch.bincount(taken + 1).tolist() == pytest.approx([1000] * 5, abs=1)
    assert (taken.diff() >= 0).all()
    envs.reset()
    assert [float(envs.step(torch.full((1, 1), x)).next_state) for x in (-1.0, -0.61, -0.59, 0.0, 1.0)] == [
        -1,
        -1,
        0,
        1,
        3,
    ]


@pytest.mark.parametrize(
    ("picture", "said"), [("none", "returned None"), ("floats", r"returned float64 of shape \(4, 4, 3\)")]
)
def test_pictures_that_are_none(picture: str, said: str) -> None:
    envs = faulty(picture=picture)
    with rendering(envs, 16, 16) as draw:
        envs.reset()
        message = rf"^Cannot render env.id=toy/Faulty-v0: render\(\) {said}, not uint8 \[H, W, 3\]$"
        with pytest.raises(RuntimeError, match=message):
            draw(0)


def test_an_old_version_of_fetch_names_the_newest() -> None:
    pytest.importorskip("gymnasium_robotics", reason="pip install 'deepcrl[robotics]' runs this")
    with pytest.raises(
        ValueError, match=r"FetchReach-v1 cannot be made: .*; FetchReach-v4 is the newest version of it$"
    ):
        make_task({"name": "gymnasium", "id": "FetchReach-v1"}).spec  # noqa: B018
