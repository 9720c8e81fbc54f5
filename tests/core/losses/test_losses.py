"""Every loss against loops in plain Python, gradients included, and the properties that any of them must have."""

import math

import pytest
import torch

from deepcrl.core.components import LOSSES

SIZE = 6


def lse(values):
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def forward(L, i):
    return -(L[i][i] - lse(L[i]))


def backward(L, i):
    return -(L[i][i] - lse([row[i] for row in L]))


def penalty(L):
    return sum(lse(row) ** 2 for row in L) / len(L)


TERMS = {
    "infonce": forward,
    "backward_infonce": backward,
    "symmetric_infonce": lambda L, i: forward(L, i) + backward(L, i),
}


def logits(seed=0, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(size, size, generator=generator, dtype=torch.float64)


def test_every_loss_has_a_reference_here():
    assert set(TERMS) == set(LOSSES)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("coef", [0.0, 0.1, 2.0])
def test_is_its_formula(name, coef):
    L = logits().tolist()
    expected = sum(TERMS[name](L, i) for i in range(SIZE)) / SIZE + coef * penalty(L)
    loss = LOSSES.build({"name": name, "logsumexp_coef": coef})(logits())
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", TERMS)
def test_gradient_is_that_of_finite_differences(name):
    assert torch.autograd.gradcheck(LOSSES.build({"name": name}), logits().requires_grad_())


@pytest.mark.parametrize("name", TERMS)
def test_does_not_depend_on_the_order_of_the_batch(name):
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    loss = LOSSES.build({"name": name})
    torch.testing.assert_close(loss(logits()[order][:, order]), loss(logits()))


@pytest.mark.parametrize("name", TERMS)
def test_prefers_the_right_pairing(name):
    right = logits() + 10 * torch.eye(SIZE, dtype=torch.float64)
    loss = LOSSES.build({"name": name})
    assert loss(right) < loss(right.roll(1, dims=0))


@pytest.mark.parametrize("name", TERMS)
def test_is_finite_for_large_logits(name):
    assert LOSSES.build({"name": name})(1e4 * logits()).isfinite()
