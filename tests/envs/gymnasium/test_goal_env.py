"""Our tasks as Gymnasium environments, against TaskVectorEnv, Gymnasium's checker and its own vector environments."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils import seeding
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from deepcrl.core.components import ENVS
from deepcrl.envs.gymnasium.goal_env import GoalEnv, GoalVectorEnv
from deepcrl.envs.gymnasium.ids import gymnasium_id
from deepcrl.envs.scenes.mazes import LAYOUTS
from deepcrl.envs.tasks.ant import AntMaze

IDS = [id for id in gymnasium.registry if id.startswith("deepcrl/")]
FAMILIES = {ENVS[name]: gymnasium_id(name) for name in reversed(list(ENVS)) if gymnasium_id(name) in IDS}
"""The first id of each class of tasks."""


def inner_seed(seed: int) -> int:
    """The seed that `reset(seed)` gives to the task's generator."""
    return int(seeding.np_random(seed)[0].integers(2**31))


def vector(name: str, num_envs: int = 5, **kwargs: Any) -> GoalVectorEnv:
    envs = gymnasium.make_vec(gymnasium_id(name), num_envs, **kwargs)
    assert isinstance(envs, GoalVectorEnv)
    return envs


def single(name: str, **kwargs: Any) -> GoalEnv:
    env = gymnasium.make(gymnasium_id(name), **kwargs).unwrapped
    assert isinstance(env, GoalEnv)
    return env


@pytest.mark.parametrize("id", FAMILIES.values())
def test_gymnasiums_checker_is_content(id: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_env(gymnasium.make(id, render_mode="rgb_array", size=32).unwrapped)
    assert all("infinity" in str(warning.message) for warning in said)  # as of every state that has no bounds


@pytest.mark.parametrize("id", IDS)
def test_every_id_is_made_reset_and_stepped(id: str) -> None:
    for env in (gymnasium.make(id), gymnasium.make_vec(id, 3, num_threads=1)):
        observation, _ = env.reset(seed=0)
        assert observation in env.observation_space
        observation, reward, *_ = env.step(env.action_space.sample())
        assert observation in env.observation_space
        assert np.isin(np.asarray(reward), (0, 1)).all()


def test_one_copy_is_the_task(make) -> None:
    env, slow = single("ant_u_maze"), make("ant_u_maze", num_envs=1, seed=inner_seed(3))
    seen, info = env.reset(seed=3)
    first = slow.reset()
    assert info == {}
    env.action_space.seed(0)
    for _ in range(30):
        assert np.array_equal(seen["desired_goal"], first.goal[0])
        assert np.array_equal(seen["achieved_goal"], seen["observation"][:2])
        action = env.action_space.sample()
        step = slow.step(torch.tensor(action)[None])
        seen, reward, terminated, truncated, info = env.step(action)
        assert np.array_equal(seen["observation"], step.next_state[0])
        assert (terminated, truncated) == (False, False)
        assert reward == float(step.success[0])
        assert info == {"is_success": bool(step.success[0])}


def test_copies_are_the_task_and_resets_hide_nothing(make) -> None:
    hyper = {"reset_noise": 0.2, "success_radius": 2.5, "goal_distance_min": 0.0}
    envs = vector("ant", 6, max_episode_steps=12, density=5, **hyper)
    slow = make("ant", num_envs=6, episode_length=12, seed=inner_seed(4), task=hyper | {"density": 5})
    seen, _ = envs.reset(seed=4)
    observation = slow.reset()
    envs.action_space.seed(0)
    ended = terminations = 0
    for _ in range(60):
        action, goal = envs.action_space.sample(), observation.goal
        step = slow.step(torch.tensor(action))
        seen, reward, terminated, truncated, info = envs.step(action)
        observation, done = step.observation, (step.terminated | step.truncated).numpy()
        assert np.array_equal(seen["observation"], observation.state)
        assert np.array_equal(seen["desired_goal"], observation.goal)
        assert np.array_equal(reward, step.success)
        assert np.array_equal(terminated, step.terminated)
        assert np.array_equal(truncated, step.truncated)
        assert np.array_equal(info["is_success"], step.success.numpy() & ~done)
        for i in done.nonzero()[0]:
            final = info["final_obs"][i]
            assert np.array_equal(final["observation"], step.next_state[i])
            assert np.array_equal(final["achieved_goal"], step.next_state[i, :2])
            assert np.array_equal(final["desired_goal"], goal[i])
            assert info["final_info"]["is_success"][i] == step.success[i]
        ended, terminations = ended + done.sum(), terminations + terminated.sum()
    assert ended > terminations > 0


def like(value: Any) -> Any:
    """The form of a value: keys, types, shapes; objects in an array as they are."""
    if isinstance(value, dict):
        return {key: like(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [like(inner) for inner in value]
    return (value.dtype, value.shape) if isinstance(value, np.ndarray) else type(value)


def test_the_form_is_that_of_gymnasiums_own_same_step_resets() -> None:
    id = gymnasium_id("point_u_maze")
    theirs = SyncVectorEnv(
        [lambda: gymnasium.make(id, max_episode_steps=3)] * 4, autoreset_mode=AutoresetMode.SAME_STEP
    )
    ours = vector("point_u_maze", 4, max_episode_steps=3)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.single_action_space == theirs.single_action_space
    assert like(ours.reset(seed=0)[0]) == like(theirs.reset(seed=0)[0])
    for i in range(7):
        action = theirs.action_space.sample()
        *mine, my_info = ours.step(action)
        *yours, your_info = theirs.step(action)
        assert list(map(like, mine)) == list(map(like, yours))
        done = i % 3 == 2
        assert ("final_obs" in my_info) == ("final_obs" in your_info) == done
        for key in your_info:
            assert like(my_info[key]) == like(your_info[key]), key
            assert key[0] != "_" or np.array_equal(my_info[key], your_info[key]), key


def test_the_reward_is_success_by_the_tasks_radius_in_any_shape() -> None:
    env = single("point_u_maze", success_radius=0.8)
    generator = np.random.default_rng(0)
    achieved, desired = generator.uniform(-1, 1, (2, 7, 50, 2)).astype(np.float32)
    slow = np.array([float(np.hypot(*goals) < 0.8) for goals in (achieved - desired).reshape(-1, 2)]).reshape(7, 50)
    assert 0.2 < slow.mean() < 0.8
    assert np.array_equal(env.compute_reward(achieved, desired, {}), slow)
    assert np.array_equal(env.compute_reward(achieved[0], desired[0], [{}] * 50), slow[0])
    assert env.compute_reward(achieved[0, 0], desired[0, 0], {}) == slow[0, 0]
    assert np.array_equal(vector("point_u_maze", success_radius=0.8).compute_reward(achieved, desired, {}), slow)


@pytest.mark.parametrize("id", FAMILIES.values())
def test_the_reward_of_every_family_is_its_own_success(id: str) -> None:
    env = gymnasium.make(id).unwrapped
    assert isinstance(env, GoalEnv)
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(400, env.task.spec.state_dim, generator=generator)
    achieved = env.task.achieved(states)
    goals = achieved + torch.linspace(0, 2, 400)[:, None] * env.task.success_radius * torch.randn(
        achieved.shape, generator=generator
    )
    success = (env.task.distance(states, goals) < env.task.success_radius).numpy()
    assert 0.05 < success.mean() < 0.95
    reward = env.compute_reward(achieved.numpy(), goals.numpy(), {})
    assert np.array_equal(reward, success)
    assert [float(env.compute_reward(a, g, {})) for a, g in zip(achieved.numpy(), goals.numpy(), strict=True)] == [
        float(s) for s in success
    ]


def test_seeds() -> None:
    for env in (single("ant"), vector("ant", 2)):
        first, _ = env.reset(seed=5)
        second, _ = env.reset()
        assert not np.array_equal(first["observation"], second["observation"])
        for expected, seed in ((first, 5), (second, None)):
            again, _ = env.reset(seed=seed)
            assert all(np.array_equal(again[key], expected[key]) for key in expected)


def test_an_ended_episode_stays_as_it_ended_until_reset() -> None:
    env = single("ant")
    env.reset(seed=0)
    env._envs.physics.field("qpos")[0, 2] = 1.5
    seen, _, terminated, truncated, _ = env.step(np.zeros(8))
    assert (terminated, truncated) == (True, False)
    assert seen["observation"][2] > 1.3
    assert env._envs.physics.field("qpos")[0, 2] == pytest.approx(seen["observation"][2])


def test_an_unstable_simulation_is_truncated() -> None:
    env = single("ant")
    before, _ = env.reset(seed=0)
    env._envs.physics.field("qvel")[0, 0] = torch.nan
    seen, _, terminated, truncated, _ = env.step(np.zeros(8))
    assert (terminated, truncated) == (False, True)
    assert all(np.array_equal(seen[key], before[key]) for key in before)


def test_pictures() -> None:
    env, envs = single("ant", render_mode="rgb_array", size=64), vector("ant", 2, render_mode="rgb_array", size=32)
    for each in (env, envs):
        each.reset(seed=0)
    picture = env.render()
    assert picture is not None
    assert (picture.shape, picture.dtype) == ((64, 64, 3), np.uint8)
    assert (picture != single_picture("track")).any()
    pictures = envs.render()
    assert pictures is not None
    assert [p.shape for p in pictures] == [(32, 32, 3)] * 2
    assert (pictures[0] != pictures[1]).any()
    assert env.metadata["render_fps"] == 20
    assert single("humanoid").metadata["render_fps"] == 67  # control steps of 0.015 s
    for each in (env, env, envs, single("ant")):
        each.close()
    assert single("ant").render() is vector("ant").render() is None


def single_picture(camera: str) -> np.ndarray | None:
    env = single("ant", render_mode="rgb_array", size=64, camera=camera)
    env.reset(seed=0)
    return env.render()


@pytest.mark.parametrize("make_it", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"layot": "u2_maze"}, "^Unknown hyperparameter of env 'ant_u_maze' 'layot'. Did you mean 'layout'"),
        ({"layout": "u9_maze"}, "'u9_maze'"),
        ({"size": 4}, "^size must be at least 16, got 4$"),
    ],
)
def test_mistakes(make_it, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_it("deepcrl/AntUMaze-v0", **kwargs)


def test_mistakes_with_pictures() -> None:
    with pytest.raises(ValueError, match="^Unknown render_mode 'human'. Known: rgb_array$"):
        GoalEnv("ant", render_mode="human")
    with pytest.raises(ValueError, match="^Unknown camera 'nowhere'. Known: "):
        single_picture("nowhere")
    with pytest.raises(ValueError, match="^max_episode_steps must be at least 1, got 0$"):
        vector("ant", max_episode_steps=0)


def test_hyperparameters_are_arguments() -> None:
    for env in (single("ant_u_maze", layout="u2_maze"), vector("ant_u_maze", layout="u2_maze")):
        assert isinstance(env.task, AntMaze)
        assert env.task.maze.rows == tuple(LAYOUTS["u2_maze"].split("/"))
