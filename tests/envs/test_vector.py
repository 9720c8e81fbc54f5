"""Episodes, resets, instability, checkpoints and bad inputs of TaskVectorEnv."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import pytest
import torch
from torch import Tensor

from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.scenes.arena import add_goal_marker, arena
from deepcrl.envs.settings import EnvInputs
from deepcrl.envs.task import GoalTask, Start
from deepcrl.envs.tasks.ant import Ant
from deepcrl.envs.vector import TaskVectorEnv


@pytest.mark.parametrize("reset", ["resample", "fixed"])
def test_a_reset_with_a_seed_is_as_if_made_with_it(make, actions, reset):
    old, new = make("ant", seed=1, episode_length=4, reset=reset), make("ant", seed=2, episode_length=4, reset=reset)
    old.reset()
    old.step(actions(old, 1)[0])
    again, first = old.reset(seed=2), new.reset()
    assert torch.equal(again.state, first.state)
    assert torch.equal(again.goal, first.goal)
    for action in actions(old, 6):
        a, b = old.step(action), new.step(action)
        assert torch.equal(a.next_state, b.next_state)
        assert torch.equal(a.observation.state, b.observation.state)


def test_the_final_state_of_a_fall_is_returned(make, actions):
    envs = make("ant", num_envs=64, task={"density": 5.0})  # a light ant falls often
    envs.reset()
    falls = 0
    for action in actions(envs, 100):
        step = envs.step(action)
        z = step.next_state[:, 2]
        assert torch.equal(step.terminated, (z < 0.2) | (z > 1.0))
        assert not step.truncated.any()
        restarted = step.observation.state[step.terminated, 2]
        assert ((restarted - 0.75).abs() <= 0.1 + 1e-6).all()
        assert torch.equal(step.observation.state[~step.terminated], step.next_state[~step.terminated])
        falls += int(step.terminated.sum())
    assert falls > 10


def test_a_fall_at_the_time_limit_is_a_fall_and_not_a_truncation(make):
    envs = make("ant", num_envs=3, episode_length=1)
    envs.reset()
    envs.physics.field("qpos")[1, 2] = 5.0
    step = envs.step(torch.zeros(3, 8))
    assert step.terminated.tolist() == [False, True, False]
    assert step.truncated.tolist() == [True, False, True]


def test_trajectory_ids_count_episodes_and_label_the_transition_taken(make):
    envs = make("point_u_maze", num_envs=2, episode_length=3)
    envs.reset()
    ids = [envs.step(torch.zeros(2, 2)).traj_id.tolist() for _ in range(7)]
    assert ids == [[0, 0]] * 3 + [[1, 1]] * 3 + [[2, 2]]
    envs.reset()
    assert envs.step(torch.zeros(2, 2)).traj_id.tolist() == [3, 3]


def test_trajectory_ids_rise_only_where_an_episode_ended(make):
    envs = make("ant", num_envs=3)
    envs.reset()
    envs.physics.field("qpos")[1, 2] = 5.0
    ids = [envs.step(torch.zeros(3, 8)).traj_id.tolist() for _ in range(2)]
    assert ids == [[0, 0, 0], [0, 1, 0]]


def test_time_limits_count_from_each_environments_own_start(make):
    envs = make("ant", num_envs=3, episode_length=5, task={"reset_noise": 0.0})
    envs.reset()
    envs.step(torch.zeros(3, 8))
    envs.physics.field("qpos")[1, 2] = 5.0
    truncated = [envs.step(torch.zeros(3, 8)).truncated.tolist() for _ in range(6)]
    ended = [[number for number, row in enumerate(truncated) if row[index]] for index in range(3)]
    assert ended == [[3], [5], [3]]


def test_fixed_keeps_each_first_start_and_goal(make, actions):
    envs = make("ant", num_envs=16, episode_length=20, reset="fixed")
    first = envs.reset()
    assert len(first.goal.unique(dim=0)) == 16
    ends = 0
    for action in actions(envs, 60):
        step = envs.step(action)
        done = step.terminated | step.truncated
        assert torch.equal(step.observation.goal, first.goal)
        assert torch.equal(step.observation.state[done], first.state[done])
        ends += int(done.sum())
    assert ends >= 48
    again = envs.reset()
    assert torch.equal(again.state, first.state)
    assert torch.equal(again.goal, first.goal)


def test_fixed_survives_a_checkpoint(make):
    envs, other = make("ant", reset="fixed", episode_length=1), make("ant", reset="fixed", episode_length=1, seed=5)
    first = envs.reset()
    other.load_state_dict(envs.state_dict())
    step = other.step(torch.zeros(5, 8))
    assert torch.equal(step.observation.goal, first.goal)
    assert torch.equal(step.observation.state, first.state)


def test_the_time_of_the_simulation_restarts(make):
    envs = make("point_u_maze", episode_length=4)
    envs.reset()
    for _ in range(6):
        envs.step(torch.zeros(5, 2))
    assert torch.allclose(envs.physics.field("time"), torch.full((5,), 0.1, dtype=torch.float64))


def test_returned_tensors_are_never_written_again(make, actions):
    envs = make("ant", num_envs=8, episode_length=7)
    observation = envs.reset()
    acts = actions(envs, 20)
    kept = []
    for action in acts:
        step = envs.step(action)
        tensors = (observation.state, observation.goal, step.next_state, step.traj_id, step.truncated, step.distance)
        kept += [(t, t.clone()) for t in tensors]
        observation = step.observation
    assert all(torch.equal(now, then) for now, then in kept)


def test_a_simulation_that_blows_up_is_reset_and_the_others_go_on(make, actions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MuJoCo writes its log of warnings
    envs, twin = make("ant", task={"reset_noise": 0.0}), make("ant", task={"reset_noise": 0.0})
    before = envs.reset()
    twin.reset()
    envs.physics.field("qpos")[1, 7] = float("nan")
    envs.physics.field("qvel")[3, 2] = 1e30
    others = [0, 2, 4]
    for number, action in enumerate(0.1 * actions(envs, 20)):
        a, b = envs.step(action), twin.step(action)
        if number == 0:
            assert a.truncated.tolist() == [False, True, False, True, False]
            assert not a.terminated.any()
            assert torch.equal(a.next_state[[1, 3]], before.state[[1, 3]])
        else:
            assert not a.truncated.any()
        assert torch.equal(a.next_state[others], b.next_state[others])
        assert a.next_state.isfinite().all()
        assert a.observation.state.isfinite().all()
    assert envs.num_unstable == 2
    assert twin.num_unstable == 0
    twin.load_state_dict(envs.state_dict())
    assert twin.num_unstable == 2


class _CrampedAnt(Ant):
    """An ant whose simulations run out of memory as soon as a few feet touch the floor: a real engine error."""

    def build(self) -> mujoco.MjSpec:
        spec = super().build()
        spec.memory = 9000
        return spec


def test_an_engine_error_is_not_fatal(actions):
    envs = TaskVectorEnv(_CrampedAnt(), EnvInputs(num_envs=4, episode_length=1000, seed=0, num_threads=2))
    envs.reset()
    truncated = 0
    for action in actions(envs, 60):
        step = envs.step(action)
        truncated += int(step.truncated.sum())
        assert step.next_state.isfinite().all()
    assert envs.num_unstable == truncated > 0


class _Pendulum(GoalTask):
    """A hinge whose state is a derived field: the position of its tip."""

    spec = EnvSpec(state_dim=3, action_dim=1, goal_indices=(2, 0))
    success_radius = 0.1
    derived = True
    goal_marker = None

    def build(self) -> mujoco.MjSpec:
        scene = arena()
        body = scene.worldbody.add_body(name="pole", pos=(0, 0, 2))
        body.add_joint(name="hinge", type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 1, 0))
        body.add_geom(size=(0.1, 0, 0), pos=(1, 0, 0), contype=0, conaffinity=0)
        body.add_site(name="tip", pos=(1, 0, 0))
        scene.add_actuator(name="motor", target="hinge", trntype=mujoco.mjtTrn.mjTRN_JOINT)
        return scene

    def state(self, physics: Physics) -> Tensor:
        return physics.field("site_xpos")[:, 0].float()

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        angle = torch.rand(num, 1, generator=generator, dtype=torch.float64)
        return Start(angle, torch.zeros(num, 1, dtype=torch.float64), torch.zeros(num, 2))


def test_derived_fields_do_not_lag():
    envs = TaskVectorEnv(_Pendulum(), EnvInputs(num_envs=3, episode_length=4, seed=0, num_threads=2))
    angle, observation = envs.physics.field("qpos")[:, 0], envs.reset()
    for _ in range(10):
        tip = torch.stack((angle.cos(), torch.zeros(3).double(), 2 - angle.sin()), dim=1).float()
        assert torch.allclose(observation.state, tip, atol=1e-6)
        observation = envs.step(torch.ones(3, 1)).observation


def test_scattered_goal_indices_are_in_their_order():
    task = _Pendulum()
    state = torch.tensor([[1.0, 2.0, 3.0]])
    assert task.achieved(state).tolist() == [[3.0, 1.0]]
    assert task.distance(state, torch.tensor([[3.0, 5.0]])).tolist() == [4.0]


def test_goal_gradient_is_not_needed_and_no_marker_is_allowed():
    envs = TaskVectorEnv(_Pendulum(), EnvInputs(num_envs=1, episode_length=4, seed=0))
    assert not envs.reset().state.requires_grad
    assert _Pendulum().model.nmocap == 0
    scene = arena()
    add_goal_marker(scene, 0.5)
    assert scene.compile().nmocap == 1


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (torch.zeros(5, 7), r"shape \(5, 8\), got \(5, 7\)"),
        (torch.zeros(8), r"shape \(5, 8\), got \(8,\)"),
        (torch.full((5, 8), torch.nan), "not finite in 5 environments, the first of which is 0"),
        (torch.tensor([0.0, 0, torch.inf, 0, 0])[:, None].expand(5, 8), "in 1 environments, the first of which is 2"),
    ],
)
def test_bad_actions(make, action, message):
    envs = make("ant")
    envs.reset()
    with pytest.raises(ValueError, match=message) as error:
        envs.step(action)
    assert "\n" not in str(error.value)


def test_step_before_reset(make):
    with pytest.raises(RuntimeError, match="reset"):
        make("ant").step(torch.zeros(5, 8))


def test_a_checkpoint_that_does_not_fit_is_refused(make):
    envs = make("ant")
    envs.reset()
    saved = envs.state_dict()
    with pytest.raises(ValueError, match=r"physics has shape \[5, \d+\], not \[6"):
        make("ant", num_envs=6).load_state_dict(saved)
    with pytest.raises(ValueError, match="shape"):
        make("point_u_maze").load_state_dict(saved)
    with pytest.raises(ValueError, match="reset policy"):
        make("ant", reset="fixed").load_state_dict(saved)
    with pytest.raises(ValueError, match="lacks goal"):
        make("ant").load_state_dict({key: value for key, value in saved.items() if key != "goal"})


def test_a_checkpoint_holds_only_plain_data(make, tmp_path):
    envs = make("ant", reset="fixed")
    envs.reset()
    torch.save(envs.state_dict(), tmp_path / "envs.pt")
    make("ant", reset="fixed").load_state_dict(torch.load(tmp_path / "envs.pt", weights_only=True))
