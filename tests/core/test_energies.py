"""Every energy, both views, against its formula in float64, gradients included."""

import math

import pytest
import torch

from deepcrl.core.components import ENERGIES
from deepcrl.core.energies import pairwise_squared_distance

FORMULAS = {
    "norm": lambda x, y: -math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) + 1e-6),
    "l2": lambda x, y: -sum((a - b) ** 2 for a, b in zip(x, y, strict=True)),
    "dot": lambda x, y: sum(a * b for a, b in zip(x, y, strict=True)),
    "cosine": lambda x, y: sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y) + 1e-6),
}


def embeddings(rows=5, others=7, dim=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(rows, dim, generator=generator, dtype=dtype, requires_grad=True),
        torch.randn(others, dim, generator=generator, dtype=dtype, requires_grad=True),
    )


def test_every_energy_has_a_formula_here():
    assert set(FORMULAS) == set(ENERGIES)


@pytest.mark.parametrize("name", FORMULAS)
def test_pairwise_is_the_formula(name):
    sa, g = embeddings()
    expected = torch.tensor([[FORMULAS[name](x, y) for y in g.tolist()] for x in sa.tolist()], dtype=torch.float64)
    torch.testing.assert_close(ENERGIES.build({"name": name}).pairwise(sa, g), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_paired_is_the_diagonal_of_pairwise(name):
    sa, g = embeddings(others=5)
    energy = ENERGIES.build({"name": name})
    torch.testing.assert_close(energy.paired(sa, g), energy.pairwise(sa, g).diagonal(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("view", ["paired", "pairwise"])
def test_gradients_are_those_of_finite_differences(name, view):
    sa, g = embeddings(others=5)
    assert torch.autograd.gradcheck(getattr(ENERGIES.build({"name": name}), view), (sa, g))


@pytest.mark.parametrize("name", FORMULAS)
def test_float32_is_close_to_float64_also_far_from_the_origin(name):
    sa, g = (tensor.detach() + 100 for tensor in embeddings())
    energy = ENERGIES.build({"name": name})
    exact = energy.pairwise(sa, g)
    torch.testing.assert_close(energy.pairwise(sa.float(), g.float()).double(), exact, rtol=1e-4, atol=1e-4)


def test_norm_has_a_finite_gradient_where_embeddings_coincide():
    sa = torch.ones(3, 4, requires_grad=True)
    ENERGIES.build({"name": "norm"}).pairwise(sa, sa.detach()).sum().backward()
    assert sa.grad is not None
    assert sa.grad.isfinite().all()


def test_cosine_does_not_depend_on_the_scale_of_a_row():
    sa, g = (tensor.detach() for tensor in embeddings())
    energy = ENERGIES.build({"name": "cosine", "eps": 0.0})
    scale = torch.tensor([[1.0], [10.0], [0.1], [3.0], [7.0]], dtype=torch.float64)
    torch.testing.assert_close(energy.pairwise(sa * scale, g), energy.pairwise(sa, g))


def test_squared_distance_is_never_negative():
    x = torch.full((64, 8), 1000.1)
    assert (pairwise_squared_distance(x, x) >= 0).all()


def test_norm_needs_a_positive_eps():
    with pytest.raises(ValueError, match="eps must be positive, got 0"):
        ENERGIES.build({"name": "norm", "eps": 0.0})
