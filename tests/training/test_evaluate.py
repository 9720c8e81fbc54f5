"""evaluate() against a slow reference that looks at one episode at a time."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec, Observation, Step
from deepcrl.training.build import build_run
from deepcrl.training.evaluate import evaluate, evaluate_both, rewind


class ScriptedEnvs:
    """Plays a script: success, fall and distance [T, N] of each step. Time runs out after T steps.

    A distance below 0.6 is easy success, one below 0.1 hard success, if `levels` are known.
    """

    spec = EnvSpec(state_dim=1, action_dim=1, goal_indices=(0,))
    num_unstable = 0

    def __init__(self, success: Tensor, fall: Tensor, distance: Tensor, levels: bool = False) -> None:
        self.levels = levels
        self.success, self.fall, self.distance = success, fall, distance
        self.episode_length, self.num_envs = success.shape
        self.t = self.num_resets = 0

    def reset(self) -> Observation:
        self.t = 0
        self.num_resets += 1
        return self._observe()

    def _observe(self) -> Observation:
        return Observation(torch.full((self.num_envs, 1), float(self.t)), torch.zeros(self.num_envs, 1))

    def step(self, action: Tensor) -> Step:
        t, self.t = self.t, self.t + 1
        fall = self.fall[t]
        truncated = torch.full((self.num_envs,), self.t == self.episode_length) & ~fall
        no_ids = torch.zeros(self.num_envs, dtype=torch.int64)
        observation = self._observe()
        step = Step(observation, observation.state, self.distance[t], self.success[t], fall, truncated, no_ids)
        if self.levels:
            return replace(step, success_easy=self.distance[t] < 0.6, success_hard=self.distance[t] < 0.1)
        return step

    def state_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.num_unstable = state["num_unstable"]


class Agent:
    needs_transitions = False
    networks: dict[str, torch.nn.Module] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.seen: list[float] = []

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        assert not explore
        self.seen.append(float(observation.state[0, 0]))
        return torch.zeros_like(observation.state)

    def update(self, batch: Any) -> dict[str, Tensor]:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise NotImplementedError


def script(seed: int, num_steps: int, num_envs: int, p_fall: float, levels: bool = False) -> ScriptedEnvs:
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.rand(num_steps, num_envs, generator=generator)

    return ScriptedEnvs(draw() < 0.3, draw() < p_fall, draw(), levels)


def one_episode(envs: ScriptedEnvs, i: int) -> dict[str, float]:
    at_goal = easy = hard = t = 0
    for t in range(envs.episode_length):
        at_goal += bool(envs.success[t, i])
        easy += bool(envs.distance[t, i] < 0.6)
        hard += bool(envs.distance[t, i] < 0.1)
        if envs.fall[t, i]:
            break
    levels: dict[str, float] = {"time_at_goal_easy": easy, "time_at_goal_hard": hard} if envs.levels else {}
    return levels | {
        "time_at_goal": at_goal,
        "success_any": float(at_goal > 0),
        "final_distance": float(envs.distance[t, i]),
        "episode_length": t + 1,
    }


@pytest.mark.parametrize("levels", [False, True])
@pytest.mark.parametrize("p_fall", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_reference(seed: int, p_fall: float, levels: bool) -> None:
    envs = script(seed, num_steps=12, num_envs=7, p_fall=p_fall, levels=levels)
    metrics = evaluate(Agent(), envs)
    episodes = [one_episode(envs, i) for i in range(7)]
    for name in episodes[0]:
        values = [episode[name] for episode in episodes]
        assert metrics[f"eval/{name}"] == pytest.approx(statistics.fmean(values))
        stderr = statistics.stdev(values) / math.sqrt(len(values))
        assert metrics[f"eval/{name}_stderr"] == pytest.approx(stderr)
    thirds = [name for name in metrics if name.removesuffix("_stderr").endswith(("_near", "_middle", "_far"))]
    assert len(thirds) == 6
    assert len(metrics) - 6 == 2 * len(episodes[0]) == (12 if levels else 8)


def test_thirds_of_the_episodes_by_how_far_the_goal_is() -> None:
    steps, distance = 4, torch.tensor([5.0, 1, 6, 2, 4, 3, 7])
    success = torch.arange(steps)[:, None] < torch.tensor([0, 4, 1, 3, 2, 2, 0])
    envs = ScriptedEnvs(success, torch.zeros(steps, 7, dtype=torch.bool), distance.expand(steps, 7))
    metrics = evaluate(Agent(), envs)
    assert metrics["eval/time_at_goal_near"] == pytest.approx((4 + 3 + 2) / 3)  # distances 1, 2, 3
    assert metrics["eval/time_at_goal_middle"] == pytest.approx((2 + 0) / 2)  # 4, 5
    assert metrics["eval/time_at_goal_far"] == pytest.approx((1 + 0) / 2)  # 6, 7
    equal = ScriptedEnvs(success, torch.zeros(steps, 7, dtype=torch.bool), torch.full((steps, 7), 10.0))
    assert "eval/time_at_goal_near" not in evaluate(Agent(), equal)


def test_sampled_actions_take_the_same_starts_and_leave_training_its_draws(tiny) -> None:
    run = build_run(tiny(env=ENVS.defaults("point_u_maze"), num_eval_envs=5))
    run.eval_envs.reset()
    generators: dict[str, torch.Generator] = getattr(run.agent, "generators")  # noqa: B009
    before, streams = run.eval_envs.state_dict(), {name: g.get_state() for name, g in generators.items()}
    seen: dict[bool, list[Tensor]] = {True: [], False: []}
    act = run.agent.act

    def watched(observation: Observation, *, explore: bool) -> Tensor:
        seen[explore].append(torch.cat([observation.state, observation.goal], dim=-1).clone())
        return act(observation, explore=explore)

    run.agent.act = watched
    scores = evaluate_both(run.agent, run.eval_envs)
    assert torch.equal(seen[True][0], seen[False][0])
    assert not torch.equal(seen[True][1], seen[False][1])
    assert all(torch.equal(g.get_state(), streams[name]) for name, g in generators.items())
    run.eval_envs.load_state_dict(before)
    assert evaluate(run.agent, run.eval_envs) == {k: v for k, v in scores.items() if k.startswith("eval/")}
    assert {k.split("/")[1] for k in scores if k.startswith("eval_sampled/")} == {
        k.split("/")[1] for k in scores if k.startswith("eval/")
    }


def test_unstable_simulations_of_both_are_counted() -> None:
    envs = script(0, num_steps=4, num_envs=3, p_fall=0.0)
    envs.num_unstable = 2
    rewind(envs, {"num_unstable": 0})
    assert envs.num_unstable == 2


def test_what_comes_after_a_fall_does_not_count() -> None:
    success = torch.tensor([[True], [True], [True], [True]])
    fall = torch.tensor([[False], [True], [False], [False]])
    distance = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
    metrics = evaluate(Agent(), ScriptedEnvs(success, fall, distance))
    expected = {"time_at_goal": 2, "success_any": 1, "final_distance": 3, "episode_length": 2}
    assert metrics == {f"eval/{name}": value for name, value in expected.items()}  # one episode has no standard error


def test_stops_when_the_last_episode_has_ended() -> None:
    envs = script(0, num_steps=50, num_envs=3, p_fall=1.0)
    evaluate(Agent(), envs)
    assert envs.t == 1


def test_starts_fresh_and_acts_on_the_latest_observation() -> None:
    envs, agent = script(0, num_steps=4, num_envs=2, p_fall=0.0), Agent()
    evaluate(agent, envs)
    evaluate(agent, envs)
    assert envs.num_resets == 2
    assert agent.seen == [0, 1, 2, 3] * 2
