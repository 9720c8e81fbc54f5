"""The squashed Gaussian against torch.distributions."""

import scipy.integrate
import torch
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from deepcrl.core.agents.common.acting.tanh_gaussian import TanhGaussian


def make(rows=6, dim=3, dtype=torch.float64):
    mean, raw = 0.3 * torch.randn(2, rows, dim, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return TanhGaussian(mean, raw - 1.5)


def test_log_prob_is_that_of_the_transformed_normal():
    policy = make()
    policy = TanhGaussian(policy.mean, policy.log_std - 2)  # near the bounds the 1e-6 of the formula counts
    action, log_prob = policy.rsample_with_log_prob(torch.Generator().manual_seed(1))
    exact = TransformedDistribution(Normal(policy.mean, policy.log_std.exp()), TanhTransform()).log_prob(action).sum(-1)
    torch.testing.assert_close(log_prob, exact, rtol=1e-4, atol=1e-4)


def test_density_integrates_to_one():
    policy = TanhGaussian(torch.tensor([0.3]), torch.tensor([-0.7]))

    def density(a):
        x = torch.atanh(torch.tensor(a, dtype=torch.float64))
        return (Normal(0.3, torch.tensor(-0.7).exp()).log_prob(x).exp() / (1 - a * a)).item()

    assert abs(scipy.integrate.quad(density, -1 + 1e-9, 1 - 1e-9)[0] - 1) < 1e-4
    assert policy.mode().item() == torch.tensor(0.3).tanh().item()


def test_sample_and_rsample_draw_the_same_from_the_same_generator():
    policy = make()
    drawn = policy.sample(torch.Generator().manual_seed(2))
    action, _ = policy.rsample_with_log_prob(torch.Generator().manual_seed(2))
    assert torch.equal(drawn, action)
    noise = torch.randn(5, 6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    many = (policy.mean + policy.log_std.exp() * noise).tanh()
    torch.testing.assert_close(policy.sample(torch.Generator().manual_seed(2), 5), many)


def test_gradient_reaches_mean_and_log_std():
    mean, log_std = (torch.zeros(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def loss(mean, log_std):
        action, log_prob = TanhGaussian(mean, log_std).rsample_with_log_prob(torch.Generator().manual_seed(3))
        return action.sum() + log_prob.sum()

    assert torch.autograd.gradcheck(loss, (mean, log_std))


def test_log_prob_of_an_action_is_that_of_its_draw():
    policy = TanhGaussian(torch.tensor([[0.3, -0.5]]).double().expand(1000, 2), torch.tensor([[-0.5, 0.2]]).double())
    action, log_prob = policy.rsample_with_log_prob(torch.Generator().manual_seed(0))
    inside = (action.abs() < 1 - 1e-6).all(dim=-1)
    assert inside.sum() > 990
    torch.testing.assert_close(policy.log_prob(action)[inside], log_prob[inside])
