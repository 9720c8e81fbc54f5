"""From a config to a run: the parts that were named, each with its own random stream."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from deepcrl.core.agents.common.cuda_graph import CudaGraphAgent
from deepcrl.core.agents.common.two_threads import TwoThreadedAgent
from deepcrl.core.agents.crl import CRL
from deepcrl.core.components import ENCODERS
from deepcrl.core.registry import Registry
from deepcrl.kernels import dispatch, eager
from deepcrl.training import build
from deepcrl.training.build import build_agent, build_envs, build_run, env_spec
from deepcrl.training.sizing.table import preflight


def test_an_evaluation_env_of_other_sizes(tiny) -> None:
    with pytest.raises(ValueError, match=r"eval_env=ant does not fit env=point_u_maze: .* 29, 8, .* there and 4, 2, "):
        env_spec(tiny(eval_env={"name": "ant"}))


def test_an_evaluation_env_of_the_same_sizes(tiny) -> None:
    config = tiny(eval_env={"name": "point_big_maze"})
    assert env_spec(config).state_dim == 4
    run = build_run(config)
    assert run.envs is not None
    assert (run.envs.num_envs, run.eval_envs.num_envs) == (4, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"name": "residual_mlp", "depth": 6}}, "encoder.depth is 6; .* such as 4 or 8"),
        ({"encoder": {"name": "residual"}}, "Unknown encoder 'residual'. Did you mean 'residual_mlp'"),
        ({"loss": {"name": "inofnce"}}, "Unknown loss 'inofnce'. Did you mean 'infonce'"),
        ({"energy": {"name": "l3"}}, "Unknown energy 'l3'"),
        ({"agent": {"name": "crll"}}, "Unknown agent 'crll'. Did you mean 'crl'"),
        ({"agent": {"name": "crl", "actor_lr": -1.0}}, "agent.actor_lr must be greater than 0, got -1.0"),
        ({"agent": {"name": "crl", "evaluation": "best"}}, "Unknown action choice 'best'. Did you mean 'best_of'"),
        ({"relabel": {"name": "geometric", "discount": 1.0}}, "relabel.discount must lie between 0 and 1"),
        ({"relabel": {"name": "next_k", "k": 0}}, "relabel.k must be at least 1 step, got 0"),
        ({"relabel": {"name": "future"}}, "Unknown relabel 'future'. Did you mean 'uniform_future'"),
        ({"env": {"name": "point_u_mze"}}, "Unknown env 'point_u_mze'. Did you mean 'point_u_maze'"),
        ({"env": {"name": "point_u_maze", "cel_size": 1.0}}, "'cel_size'. Did you mean 'cell_size'"),
    ],
)
def test_refuses_in_one_line(tiny, changes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        build_run(tiny(**changes))
    assert "\n" not in str(raised.value)


def test_the_agent_knows_the_radius_of_success(tiny) -> None:
    assert env_spec(tiny(env={"name": "point_u_maze", "success_radius": 0.25})).success_radius == 0.25


def test_encoders_are_those_that_were_chosen(tiny) -> None:
    wide = {"name": "residual_mlp", "depth": 8, "width": 32}
    networks = build_run(tiny(actor_encoder=wide)).agent.networks
    shapes = {name: tuple(net.get_parameter("weight").shape) for name, net in networks.items()}
    assert shapes == {"actor": (8, 32, 32), "sa_encoder": (4, 16, 16), "goal_encoder": (4, 16, 16)}


def test_a_run_sets_up_its_process_before_its_agents_are_built(tiny, monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "_chosen", "auto")
    build_run(tiny(kernels="eager"))
    assert dispatch.backend(torch.zeros(2, 16)) is eager


def test_an_agent_changes_nothing_about_its_process(tiny, monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "_chosen", "eager")
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    build_agent(tiny(kernels="auto", num_threads=before[0] + 1), env_spec(tiny()), torch.device("cpu"))
    assert dispatch.backend(torch.zeros(2, 16)) is eager
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


def test_kernels_that_the_device_cannot_run_are_refused_first(tiny) -> None:
    config = tiny(kernels="triton", device="cpu")
    message = "^kernels=triton: it needs a GPU, and the device is cpu$"
    with pytest.raises(ValueError, match=message):
        preflight(config, env_spec(config), torch.device("cpu"))
    with pytest.raises(ValueError, match=message):
        build_run(config)


def test_a_graph_is_refused_without_a_gpu_and_wraps_the_agent_with_one(tiny, monkeypatch) -> None:
    config = tiny(cuda_graph=True, device="cpu")
    for build_it in (build_run, lambda c: preflight(c, env_spec(c), torch.device("cpu"))):
        with pytest.raises(ValueError, match="^cuda_graph=true needs a GPU, and the device is cpu$"):
            build_it(config)
    monkeypatch.setattr("deepcrl.training.build.check_device", lambda config, device: None)
    monkeypatch.setattr("torch.cuda.Stream", object)
    assert isinstance(build_run(config).agent, CudaGraphAgent)
    assert isinstance(build_run(tiny(device="cpu")).agent, CRL)


def test_tf32_is_refused_without_a_gpu(tiny) -> None:
    with pytest.raises(ValueError, match="^precision=tf32 needs a GPU, and the device is cpu; use fp32, bf16 or auto$"):
        build_run(tiny(precision="tf32", device="cpu"))


def test_streams_are_independent_of_each_other(tiny) -> None:
    config = tiny()
    first, again, other = (build_envs(config, config.env, 64, name).reset() for name in ("envs", "envs", "eval_envs"))
    assert torch.equal(first.goal, again.goal)
    assert not torch.equal(first.goal, other.goal)


def test_the_seed_draws_the_networks(tiny) -> None:
    spec, cpu = env_spec(tiny()), torch.device("cpu")
    agents = [build_agent(tiny(seed=seed), spec, cpu).networks["actor"] for seed in (0, 0, 1)]
    weights = [agent.get_parameter("weight") for agent in agents]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_is_kept(tiny) -> None:
    build_run(tiny(num_threads=1))
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("threads")
def test_the_two_threads_of_an_update_divide_the_cores(tiny) -> None:
    run = build_run(tiny(num_threads=4))
    assert isinstance(run.agent, TwoThreadedAgent)
    assert run.agent.two_threads.started
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("threads")
def test_a_run_after_another_in_one_process_has_all_threads_again(tiny, monkeypatch) -> None:
    monkeypatch.setattr("deepcrl.training.process.ALL_THREADS", 3)
    for _ in range(2):
        build_run(tiny(num_threads=0, agent={"name": "gcbc"}))
        assert torch.get_num_threads() == 3
        build_run(tiny(num_threads=0))
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("name", ["arm_grasp", "pusher2"])
def test_a_reward_from_goals_alone_is_not_taken_for_a_distance_in_parts(tiny, name: str) -> None:
    assert env_spec(tiny(env={"name": name})).success_radius is None
    with pytest.raises(ValueError, match="states no success radius around its goals; use agent=crl"):
        build_run(tiny(env={"name": name}, agent={"name": "sac"}))


@pytest.mark.parametrize("relabel", [{"name": "geometric"}, {"name": "geometric", "discount": 0.9}])
def test_a_small_network_beside_the_critic_is_shallow_and_knows_the_discount(tiny, relabel) -> None:
    def survival(**encoder: Any) -> Any:
        agent = {"name": "crl", "survival": "log_z", "embedding_dim": 8}
        return build_run(
            tiny(agent=agent, relabel=relabel, encoder={"name": "residual_mlp", "width": 16} | encoder)
        ).agent

    deep, shallow = survival(depth=16), survival(depth=8, block_layers=8)
    assert deep.networks["sa_encoder"].get_parameter("weight").shape[0] == 16
    assert deep.networks["survival"].get_parameter("weight").shape[0] == 4
    assert shallow.networks["survival"].get_parameter("weight").shape[0] == 8
    assert survival().networks["survival"].get_parameter("weight").shape[0] == 4
    assert deep._survival._log_discount == pytest.approx(math.log(relabel.get("discount", 0.99)))


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("residual_mlp", {4: 4, 8: 4, 12: 4, 16: 8, 64: 32}),  # whole blocks of four layers
        ("simba", {2: 2, 4: 2, 6: 2, 8: 4}),
        ("mlp", {1: 1, 2: 2, 3: 1, 8: 4}),
    ],
)
def test_half_a_depth_is_one_that_the_encoder_can_have(name: str, depths: dict[int, int]) -> None:
    for depth, half in depths.items():
        encoder = ENCODERS.defaults(name) | {"depth": depth, "width": 16}
        found = build._half(encoder)
        assert found == encoder | {"depth": half}
        ENCODERS.build(found, 3, 2, torch.Generator())


def test_an_encoder_without_a_depth_has_no_half(monkeypatch) -> None:
    encoders = Registry("encoder")
    monkeypatch.setattr(build, "ENCODERS", encoders)

    @encoders.register("flat")
    def flat(in_dim: int, out_dim: int, generator: torch.Generator, *, width: int = 4) -> torch.nn.Module:
        raise AssertionError("nothing is built")

    assert build._half({"name": "flat", "width": 3}) == {"name": "flat", "width": 3}


@pytest.mark.parametrize("block_layers", [1, 3])
def test_half_a_depth_is_of_whole_blocks_of_any_length(block_layers: int) -> None:
    encoder = ENCODERS.defaults("residual_mlp") | {"block_layers": block_layers, "depth": 9}
    assert build._half(encoder)["depth"] == {1: 4, 3: 3}[block_layers]
