"""How the Gaussian actor chooses actions: by its mode, by its distribution, by what the critic says of them."""

import math

import scipy.stats
import torch

from deepcrl.core.components import ENERGIES
from deepcrl.core.types import Observation
from tests.core.agents.pieces import make_crl as make_agent


def test_best_of_asks_both_critics():
    agent = make_agent(num_critics=2, exploration="best_of", num_candidates=16)
    observation = Observation(torch.randn(6, 5), torch.randn(6, 2))
    actions = torch.rand(4, 6, 3) * 2 - 1
    energy = ENERGIES.build({"name": "norm"})
    expected = [
        min(
            energy.paired(
                agent.networks[f"sa_encoder{ending}"](torch.cat([observation.state[n], actions[k, n]])),
                agent.networks[f"goal_encoder{ending}"](observation.goal[n]),
            ).item()
            for ending in ("", "_2")
        )
        for k in range(4)
        for n in range(6)
    ]
    scores = agent.value(observation, actions).flatten().detach()
    torch.testing.assert_close(scores, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_deterministic_is_the_mode_and_draws_nothing():
    agent = make_agent(evaluation="deterministic")
    observation = Observation(torch.randn(4, 5), torch.randn(4, 2))
    action = agent.act(observation, explore=False)
    mean = agent.networks["actor"](torch.cat([observation.state, observation.goal], 1))[:, :3]
    assert torch.equal(action, mean.tanh())


def test_sample_follows_the_squashed_gaussian():
    agent = make_agent(exploration="sample")
    observation = Observation(torch.zeros(1, 5).expand(20_000, 5), torch.zeros(1, 2).expand(20_000, 2))
    features = agent.networks["actor"](torch.zeros(1, 7))[0].detach()
    action = agent.act(observation, explore=True)
    for i in range(3):
        std = math.exp(-5 + 3.5 * (math.tanh(features[3 + i]) + 1))
        standard = (action[:, i].double().atanh() - features[i]) / std
        assert scipy.stats.kstest(standard.numpy(), "norm").pvalue > 1e-4


def test_best_of_takes_the_candidate_that_the_critic_prefers():
    plain, best = make_agent(exploration="sample"), make_agent(exploration="best_of", num_candidates=16)
    observation = Observation(torch.randn(50, 5), torch.randn(50, 2))
    energy = ENERGIES.build({"name": "norm"})

    def value(agent):
        action = agent.act(observation, explore=True)
        sa = agent.networks["sa_encoder"](torch.cat([observation.state, action], 1))
        return energy.paired(sa, agent.networks["goal_encoder"](observation.goal)).mean()

    assert value(best) > value(plain)
    only_one = make_agent(exploration="best_of", num_candidates=1)
    assert torch.equal(only_one.act(observation, explore=True), make_agent().act(observation, explore=True))
