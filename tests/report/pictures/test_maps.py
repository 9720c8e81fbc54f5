"""What the report draws of a checkpoint."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from deepcrl.core.components import AGENTS, ENERGIES, ENVS
from deepcrl.core.types import CriticAgent, Observation
from deepcrl.envs.scenes.mazes import LAYOUTS, parse_layout
from deepcrl.report.pictures.maps import MAX_POINTS, _grid, maps, principal, value_map
from deepcrl.run import checkpoint
from deepcrl.run.checkpoint import Checkpoint
from deepcrl.training.build import build_agent, env_spec

CPU = torch.device("cpu")


class Compass:
    """An agent whose value is known: minus the distance in metres from the state's position to the goal."""

    def act(self, seen: Observation, *, explore: bool) -> torch.Tensor:
        assert not explore
        return torch.zeros(len(seen.state), 2)

    def value(self, seen: Observation, action: torch.Tensor) -> torch.Tensor:
        return -torch.linalg.vector_norm(seen.state[:, :2] - seen.goal[:, :2], dim=1)


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_value_map_looks_like_the_printed_layout() -> None:
    maze = parse_layout("#####/#R..#/###.#/#G..#/#####", 4.0)
    seen = Observation(torch.zeros(1, 4), torch.zeros(1, 2))
    drawn = value_map(Compass(), maze, seen)  # pyright: ignore[reportArgumentType]
    picture = pixels(drawn["image"])
    per_cell = picture.shape[0] // 5
    assert picture.shape == (5 * per_cell, 5 * per_cell, 4)
    opaque = picture[per_cell // 2 :: per_cell, per_cell // 2 :: per_cell, 3] == 255
    assert ["".join("." if free else "#" for free in row) for row in opaque] == [
        "#####",
        "#...#",
        "###.#",
        "#...#",
        "#####",
    ]
    assert (drawn["start"], drawn["goal"]) == ([0.3, 0.3], [0.3, 0.7])
    brightness = picture[..., :3].astype(int).sum(-1) * (picture[..., 3] == 255)
    assert (
        brightness[3 * per_cell : 4 * per_cell, per_cell : 2 * per_cell].min()
        > brightness[1 * per_cell : 2 * per_cell].max()
    )
    assert drawn["high"] == pytest.approx(
        -0.5 * 4 / per_cell * 2**0.5
    )  # the nearest points lie half a step off the goal
    assert drawn["low"] < -8


def test_only_the_position_of_the_observation_is_replaced() -> None:
    states = []

    class Spy(Compass):
        def value(self, seen: Observation, action: torch.Tensor) -> torch.Tensor:
            states.append(seen)
            return super().value(seen, action)

    maze = parse_layout("#####/#R.G#/#####", 2.0)
    seen = Observation(torch.tensor([[9.0, 9.0, 0.3, 0.4]]), torch.tensor([[9.0, 9.0, 1.25]]))
    value_map(Spy(), maze, seen)  # pyright: ignore[reportArgumentType]
    (given,) = states
    assert given.state[:, 2:].unique(dim=0).tolist() == [pytest.approx([0.3, 0.4])]
    assert given.goal.unique(dim=0).tolist() == [[2.0, 6.0, 1.25]]
    assert given.state[:, 0].min() > 1
    assert given.state[:, 0].max() < 3
    assert given.state[:, 1].min() > 1
    assert given.state[:, 1].max() < 7


@pytest.mark.parametrize("layout", ["u_maze", "hardest_maze"])
def test_points_are_bounded_and_lie_in_their_cells(layout: str) -> None:
    maze = parse_layout(layout, 4.0)
    per_cell, position, pixel = _grid(maze)
    free = LAYOUTS[layout].replace("#", "").replace("/", "")
    assert len(position) == len(free) * per_cell**2 <= MAX_POINTS
    assert len(np.unique(pixel, axis=0)) == len(pixel)
    cells = (position / maze.cell_size).round().long()
    assert all(maze.rows[r][c] != "#" for r, c in cells.tolist())


def test_principal_components_are_those_of_the_covariance() -> None:
    points = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.arange(1, 7)
    onto, other, shares = principal(points, points[3])
    variance, directions = torch.linalg.eigh(torch.cov(points.T))
    for i in range(3):
        expected = (points - points.mean(0)) @ directions[:, -1 - i]
        assert torch.allclose(onto[:, i] * torch.sign(onto[0, i] * expected[0]), expected)
    assert torch.allclose(shares, variance.flip(0)[:3] / variance.sum())
    assert torch.allclose(other, onto[3])


def test_principal_components_of_too_few_points_are_zero() -> None:
    onto, _, shares = principal(torch.ones(1, 2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))
    assert onto.tolist() == [[0, 0, 0]]
    assert shares.tolist() == [0, 0, 0]


def saved(config, tmp_path) -> Checkpoint:
    agent = build_agent(config, env_spec(config), CPU)
    run = {"agent": agent.state_dict(), "progress": {"env_steps": 0}}
    return checkpoint.save(
        tmp_path / "checkpoints", {"config": config.to_dict(), "run": run}, env_steps=0, grad_steps=0, keep=1
    )


def test_maps_of_a_checkpoint(tiny, tmp_path) -> None:
    drawn = maps(saved(tiny(), tmp_path))
    assert drawn.keys() == {"trace", "value_map"}
    trace = drawn["trace"]
    assert trace["steps"] == list(range(20))
    assert np.shape(trace["points"]) == (20, 3)
    assert len(trace["distances"]) == 20
    assert 0 < sum(trace["shares"]) <= 1 + 1e-9
    assert drawn["value_map"]["low"] < drawn["value_map"]["high"] < 0


@pytest.mark.parametrize("num_critics", [1, 2])
def test_the_value_is_that_of_the_policys_own_actions(tiny, monkeypatch, num_critics: int) -> None:
    config = tiny(agent=AGENTS.defaults("crl") | {"embedding_dim": 8, "num_critics": num_critics})
    agent, asked = build_agent(config, env_spec(config), CPU), []
    seen = Observation(torch.zeros(1, 4), torch.zeros(1, 2))
    assert isinstance(agent, CriticAgent)
    value = agent.value
    monkeypatch.setattr(agent, "value", lambda *inputs: asked.append((*inputs, value(*inputs))) or asked[-1][-1])
    drawn = value_map(agent, parse_layout("#####/#R.G#/#####", 2.0), seen)
    ((places, action, values),) = asked
    assert torch.equal(action, agent.act(places, explore=False))
    assert drawn["high"] == values.max().item()


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_is_drawn_as_far_as_it_has_a_critic(tiny, tmp_path, name: str) -> None:
    config = tiny(agent=AGENTS.defaults(name), energy=ENERGIES.defaults("iqe" if name == "qrl" else "norm"))
    drawn = maps(saved(config, tmp_path))
    of_embeddings = {"trace"} if name in ("chronosrl", "crl", "crl_td") else set()
    assert drawn.keys() == of_embeddings | (set() if name in ("gcbc", "gcsl") else {"value_map"})


def test_there_is_no_maze_on_a_plain(tiny, tmp_path) -> None:
    assert maps(saved(tiny(env=ENVS.defaults("reacher")), tmp_path)).keys() == {"trace"}
