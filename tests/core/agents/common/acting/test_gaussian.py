"""The Gaussian that is clipped, against scipy."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats
import torch

from deepcrl.core.agents.common.acting.gaussian import Gaussian


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(rows: int = 6, dim: int = 3) -> Gaussian:
    mean, log_std = torch.randn(2, rows, dim, generator=generator(), dtype=torch.float64)
    return Gaussian(mean, log_std)


def test_log_prob_is_the_normals_at_the_bounds_too() -> None:
    policy, action = make(), torch.rand(6, 3, generator=generator(1), dtype=torch.float64) * 2 - 1
    action[0], action[1] = 1, -1
    exact = scipy.stats.norm.logpdf(action.numpy(), policy.mean.numpy(), policy.log_std.exp().numpy()).sum(-1)
    np.testing.assert_allclose(policy.log_prob(action).numpy(), exact, rtol=1e-12)


def test_the_mode_is_the_mean_within_bounds() -> None:
    policy = Gaussian(torch.tensor([-3.0, -1.0, 0.2, 1.5]), torch.zeros(4))
    assert policy.mode().tolist() == [-1.0, -1.0, torch.tensor(0.2).item(), 1.0]


def test_draws_are_normal_within_bounds_and_the_rest_is_at_them() -> None:
    mean, std, num = 0.4, 0.7, 40_000
    policy = Gaussian(torch.full((num, 1), mean).double(), torch.full((num, 1), math.log(std)).double())
    action = policy.sample(generator())[:, 0].numpy()
    normal = scipy.stats.norm(mean, std)
    for at_bound, p in ((action == 1, normal.sf(1)), (action == -1, normal.cdf(-1))):
        assert scipy.stats.binomtest(int(at_bound.sum()), num, p).pvalue > 1e-4
    inside = action[np.abs(action) < 1]
    between = scipy.stats.truncnorm((-1 - mean) / std, (1 - mean) / std, mean, std)
    assert scipy.stats.kstest(inside, between.cdf).pvalue > 1e-4
    assert np.abs(action).max() == 1


def test_what_is_drawn_is_the_same_however_it_is_drawn() -> None:
    policy = make()
    assert torch.equal(policy.rsample_with_log_prob(generator(2))[0], policy.sample(generator(2)))
    noise = torch.randn(5, 6, 3, generator=generator(2), dtype=torch.float64)
    many = (policy.mean + policy.log_std.exp() * noise).clamp(-1, 1)
    torch.testing.assert_close(policy.sample(generator(2), 5), many)


def test_a_draws_density_is_from_before_the_clip() -> None:
    policy = make(rows=200)
    before = policy.mean + policy.log_std.exp() * torch.randn(200, 3, generator=generator(3), dtype=torch.float64)
    action, log_prob = policy.rsample_with_log_prob(generator(3))
    torch.testing.assert_close(action, before.clamp(-1, 1))
    assert (action.abs() == 1).any()
    torch.testing.assert_close(log_prob, policy.log_prob(before))


def test_gradients_reach_the_mean_within_bounds_and_only_there() -> None:
    mean = torch.tensor([[-2.0, -0.5, 0.5, 2.0]], dtype=torch.float64, requires_grad=True)
    log_std = torch.full((1, 4), -3.0, dtype=torch.float64, requires_grad=True)

    def loss(mean: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        policy = Gaussian(mean, log_std)
        action, log_prob = policy.rsample_with_log_prob(generator(3))
        return action.sum() + log_prob.sum() + policy.mode().square().sum() + policy.log_prob(torch.ones(1, 4)).sum()

    assert torch.autograd.gradcheck(loss, (mean, log_std))
    policy = Gaussian(mean, log_std)
    for action in (policy.mode(), policy.rsample_with_log_prob(generator(3))[0]):
        (gradient,) = torch.autograd.grad(action.sum(), mean)
        assert gradient.tolist() == [[0.0, 1.0, 1.0, 0.0]]
