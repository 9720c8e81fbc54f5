"""`value` of every agent that has a critic: one number for each action, whatever their leading shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.core.components import AGENTS
from deepcrl.core.types import CriticAgent, EmbeddingAgent, Observation
from tests.core.agents.pieces import make_inputs

WITHOUT_CRITIC = {"gcbc", "gcsl"}
WITH_EMBEDDINGS = {"chronosrl", "crl", "crl_td"}
WITH_CRITIC = sorted(set(AGENTS) - WITHOUT_CRITIC)


def make_agent(name: str, energy: str = "norm", **hyperparameters: Any) -> Any:
    return AGENTS.build({"name": name} | hyperparameters, make_inputs(energy=energy))


def seen(num: int = 6) -> Observation:
    g = torch.Generator().manual_seed(0)
    return Observation(torch.randn(num, 5, generator=g), torch.randn(num, 2, generator=g))


def candidates(*shape: int) -> Tensor:
    return torch.rand(*shape, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_who_has_a_critic_and_embeddings(name: str) -> None:
    agent = make_agent(name)
    assert isinstance(agent, CriticAgent) == (name not in WITHOUT_CRITIC)
    assert isinstance(agent, EmbeddingAgent) == (name in WITH_EMBEDDINGS)


@pytest.mark.parametrize("name", WITH_CRITIC)
def test_each_action_is_valued_at_its_own_observation(name: str) -> None:
    agent, observation, action = make_agent(name), seen(), candidates(4, 6)
    values = agent.value(observation, action)
    assert values.shape == (4, 6)
    assert agent.value(observation, candidates(2, 4, 6)).shape == (2, 4, 6)
    for k in range(4):
        torch.testing.assert_close(agent.value(observation, action[k]), values[k], rtol=1e-5, atol=1e-5)
        for n in range(6):
            one = Observation(observation.state[n : n + 1], observation.goal[n : n + 1])
            torch.testing.assert_close(agent.value(one, action[k, n : n + 1])[0], values[k, n], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", WITH_CRITIC)
def test_gradients_reach_the_action_and_no_parameter(name: str) -> None:
    agent, action = make_agent(name), candidates(6).requires_grad_()
    agent.value(seen(), action).sum().backward()
    assert action.grad is not None
    assert action.grad.any()
    parameters = [p for net in agent.networks.values() for p in net.parameters()]
    assert all(p.grad is None and p.requires_grad for p in parameters)


@pytest.mark.parametrize("energy", ["norm", "iqe"])
@pytest.mark.parametrize("num_critics", [1, 2])
@pytest.mark.parametrize("name", ["crl", "crl_td"])
def test_the_value_is_the_smallest_energy_of_the_embeddings(name: str, num_critics: int, energy: str) -> None:
    agent = make_agent(name, energy, num_critics=num_critics, embedding_dim=16)
    observation, action = seen(), candidates(6)
    read = [observation.state, action] + ([observation.goal] if name == "crl_td" else [])
    energies = []
    for critic in agent._critics:
        sa = agent.networks[f"sa_encoder{critic.suffix}"](torch.cat(read, 1))
        g = agent.networks[f"goal_encoder{critic.suffix}"](observation.goal)
        energies.append(critic.energy.paired(sa, g))
        if energy == "iqe":
            assert critic.energy is agent.networks[f"energy{critic.suffix}"]
        if not critic.suffix:
            torch.testing.assert_close(agent.embed(observation, action), sa)
            torch.testing.assert_close(agent.embed_goal(observation.goal), g)
    torch.testing.assert_close(agent.value(observation, action), torch.stack(energies).min(0).values)


def test_the_value_of_twin_q_is_the_smaller_one() -> None:
    observation, action = seen(), candidates(6)
    for name in ("sac", "td3"):
        agent = make_agent(name)
        inputs = torch.cat([observation.state, action, observation.goal], 1)
        both = [agent.networks[critic](inputs)[:, 0] for critic in ("critic_1", "critic_2")]
        torch.testing.assert_close(agent.value(observation, action), torch.minimum(*both))


def test_the_value_of_qrl_is_minus_the_distance_after_the_action() -> None:
    agent, observation, action = make_agent("qrl"), seen(), candidates(6)
    z = agent.networks["state_encoder"](observation.state)
    after = z + agent.networks["dynamics"](torch.cat([z, action], 1))
    distance = (after - agent.networks["goal_encoder"](observation.goal)).square().sum(1).add(1e-6).sqrt()
    torch.testing.assert_close(agent.value(observation, action), -distance)
