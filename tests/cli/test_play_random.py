"""`deepcrl play env=NAME policy=random`: films and pictures without a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SMALL = ("--size", "32", "--tiles", "1")


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_film_of_random_actions_lies_here(deepcrl) -> None:
    result = deepcrl("play", "env=point_u_maze", "policy=random", "episode_length=9", *SMALL)
    assert (result.code, result.err) == (0, "")
    assert result.out.split() == ["point_u_maze_random.mp4", "point_u_maze_random.gif"]
    assert all(Path(name).stat().st_size > 0 for name in result.out.split())


def test_a_film_elsewhere(deepcrl) -> None:
    result = deepcrl("play", "policy=random", "env=ant", "out=films/a.mp4", "--steps", "3", *SMALL)
    assert result.out.split() == ["films/a.mp4", "films/a.gif"]
    assert sorted(path.name for path in Path().rglob("*.*")) == ["a.gif", "a.mp4"]


def test_a_picture(deepcrl) -> None:
    play = ("play", "policy=random", "env=point_u_maze", "env.layout=u2_maze")
    assert deepcrl(*play, "out=start.png", *SMALL).out == "start.png\n"
    for name, changed in (("late", ()), ("same", ()), ("seed", ("seed=3",)), ("tiles", ("--tiles", "2"))):
        assert deepcrl(*play, f"out={name}.png", "--steps", "20", *SMALL, *changed).code == 0
    late = pixels("late.png")
    assert late.shape == (48, 32, 3)
    assert pixels("tiles.png").shape == (48, 68, 3)
    assert (late == pixels("same.png")).all()
    for other in ("start.png", "seed.png"):
        assert (late != pixels(other)).any()


def test_an_environment_of_gymnasium(deepcrl) -> None:
    gymnasium = ("env=gymnasium", "env.id=PointMaze_Open-v3", "env.kwargs.reward_type=dense")
    assert deepcrl("play", *gymnasium, "policy=random", "out=a.png", *SMALL).err == ""
    assert pixels("a.png").shape == (48, 32, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "play needs a run directory, or env=NAME policy=random"),
        ("env=ant", "play needs a run directory, or env=NAME policy=random"),
        ("nowhere", "There is no checkpoint to read: nowhere does not exist"),
        ("policy=random", "without a run, env=NAME says where to play, see `deepcrl list envs`"),
        ("policy=rnadom env=ant", "Unknown policy 'rnadom'. Did you mean 'random'? Known: random"),
        ("runs/x env=ant policy=random", "policy=random plays without a run: leave out runs/x"),
        ("policy=random env=ant --learner td3", "policy=random has no learners: leave out --learner td3"),
        ("policy=random env=antt", "Unknown env 'antt'. Did you mean 'ant'? "),
        ("policy=random env=ant env.densty=4", "Unknown setting of env=ant: 'densty'. Did you mean 'density'? "),
        ("policy=random env=ant loss=dot", "Unknown setting of an evaluation 'loss'. Known: env, episode_length, "),
        ("policy=random env=ant agent.evaluation=sample", "Unknown setting of an evaluation 'agent.evaluation'. "),
        ("policy=random env=ant out=a.avi", "Unknown ending of a.avi '.avi'. Known: .mp4, .png"),
        ("policy=random env=point_u_maze out=a.png --size 100000000", "--size must be at most 4096, got 100000000"),
        ("policy=random env=point_u_maze --steps 1000000000", "--steps must be at most 10000000, got 1000000000"),
        ("policy=random env=point_u_maze --tiles 1000000", "Not enough memory: 1000000 tiles of 320 pixels take "),
        (f"policy=random env=ant --tiles {'9' * 5000}", "argument --tiles: "),
        ("policy=random env=ant out=/proc/a.png", "Cannot save /proc/a.png: "),
        ("policy=random env=ant out=a.png --camera nowhere", "Unknown camera 'nowhere'. Known: "),
    ],
)
def test_mistakes_are_one_line(deepcrl, arguments: str, message: str) -> None:
    assert deepcrl("play", *arguments.split()).error.startswith(message)
    assert list(Path().iterdir()) == []
