"""Every energy, both views, against its formula in float64, gradients included."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from deepcrl.core.components import ENERGIES
from deepcrl.core.energies import check_dim, pairwise_squared_distance


def mrn(x, y):
    half = len(x) // 2
    pairs = list(zip(x, y, strict=True))
    return -max(max(a - b, 0) for a, b in pairs[:half]) - math.sqrt(sum((a - b) ** 2 for a, b in pairs[half:]) + 1e-6)


def union_length(intervals):
    """Measures a union of intervals: cuts the line at all their ends, adds up the pieces that one of them covers."""
    ends = sorted(end for interval in intervals for end in interval)
    pieces = list(pairwise(ends))
    return sum(b - a for a, b in pieces if any(low <= a and b <= high for low, high in intervals))


def iqe(x, y, component_dim=3):
    intervals = [(a, max(a, b)) for a, b in zip(x, y, strict=True)]
    lengths = [union_length(intervals[k : k + component_dim]) for k in range(0, len(x), component_dim)]
    return -(max(lengths) + sum(lengths) / len(lengths)) / 2


FORMULAS = {
    "norm": lambda x, y: -math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) + 1e-6),
    "l2": lambda x, y: -sum((a - b) ** 2 for a, b in zip(x, y, strict=True)),
    "dot": lambda x, y: sum(a * b for a, b in zip(x, y, strict=True)),
    "cosine": lambda x, y: sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y) + 1e-6),
    "scaled_dot": lambda x, y: sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(len(x)),
    "l1": lambda x, y: -sum(abs(a - b) for a, b in zip(x, y, strict=True)),
    "mrn": mrn,
    "mrn_potential": lambda x, y: y[-1] + mrn(x[:-1], y[:-1]),
    "iqe": iqe,
}
SETTINGS = {"iqe": {"component_dim": 3}}
METRICS = ["norm", "l1"]
QUASIMETRICS = ["mrn", "iqe"]
DISTANCES = ["norm", "l2", "l1", "mrn", "iqe"]


def build(name, **hyperparameters) -> Any:
    energy = ENERGIES.build({"name": name} | SETTINGS.get(name, {}) | hyperparameters)
    return energy.double() if isinstance(energy, nn.Module) else energy


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
    torch.testing.assert_close(build(name).pairwise(sa, g), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_paired_is_the_diagonal_of_pairwise(name):
    sa, g = embeddings(others=5)
    energy = build(name)
    torch.testing.assert_close(energy.paired(sa, g), energy.pairwise(sa, g).diagonal(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("view", ["paired", "pairwise"])
def test_gradients_are_those_of_finite_differences(name, view):
    sa, g = embeddings(others=5)
    assert torch.autograd.gradcheck(getattr(build(name), view), (sa, g))


@pytest.mark.parametrize("name", FORMULAS)
def test_float32_is_close_to_float64_also_far_from_the_origin(name):
    sa, g = (tensor.detach() + 100 for tensor in embeddings())
    energy = build(name)
    exact = energy.pairwise(sa, g)
    torch.testing.assert_close(energy.pairwise(sa.float(), g.float()).double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("view", ["paired", "pairwise"])
def test_gradients_are_finite_at_zero_distance(name, view):
    sa, _ = embeddings()
    for x in (sa, torch.zeros_like(sa)):
        x, g = x.detach().requires_grad_(), x.detach().clone().requires_grad_()
        value = getattr(build(name), view)(x, g)
        value.sum().backward()
        assert value.isfinite().all()
        for tensor in (x, g):
            assert tensor.grad is not None
            assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("name", FORMULAS)
def test_paired_broadcasts_over_candidate_actions(name):
    sa, g = embeddings(others=5)
    candidates = torch.stack([sa, sa + 1, 2 * sa])
    expected = torch.stack([build(name).paired(x, g) for x in candidates])
    torch.testing.assert_close(build(name).paired(candidates, g), expected)


@pytest.mark.parametrize("name", METRICS + QUASIMETRICS)
def test_triangle_inequality(name):
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    d = -build(name).pairwise(x, x)
    assert (d[:, None, :] <= d[:, :, None] + d[None] + 1e-9).all()


@pytest.mark.parametrize("name", sorted(ENERGIES))
def test_an_energy_says_whether_it_is_minus_a_quasimetric(name):
    assert getattr(build(name), "quasimetric", False) == (name in METRICS + QUASIMETRICS)


@pytest.mark.parametrize("name", METRICS + QUASIMETRICS)
def test_is_symmetric_only_if_it_is_a_metric(name):
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    d = build(name).pairwise(x, x)
    assert torch.allclose(d, d.T) == (name in METRICS)


@pytest.mark.parametrize("name", DISTANCES)
def test_no_pair_is_closer_than_an_embedding_to_itself(name):
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    energy = build(name).pairwise(x, x)
    assert (energy <= energy.diagonal()[:, None]).all()
    assert (energy < energy.diagonal()[:, None]).any(dim=1).all()
    torch.testing.assert_close(energy.diagonal(), torch.zeros(40, dtype=torch.float64), rtol=0, atol=1.1e-3)


def test_the_mix_of_iqe_runs_from_mean_to_maximum_and_is_learned():
    sa, g = embeddings()
    energy, values = build("iqe"), []
    for mix in (-50.0, 0.0, 50.0):
        energy.mix.data.fill_(mix)
        values.append(energy.pairwise(sa, g))
    torch.testing.assert_close(values[1], (values[0] + values[2]) / 2)
    assert (values[2] <= values[0]).all()
    assert not torch.allclose(values[2], values[0])
    energy.mix.data.fill_(0.3)
    assert torch.autograd.gradcheck(lambda _: energy.pairwise(sa.detach(), g.detach()), (energy.mix,))


@pytest.mark.parametrize(
    ("name", "dim", "hyperparameters", "message"),
    [
        ("iqe", 10, {"component_dim": 4}, "^energy.component_dim=4 does not divide agent.embedding_dim=10$"),
        ("iqe", 10, {"component_dim": 0}, "^energy.component_dim must be positive, got 0$"),
        ("mrn", 1, {}, "^energy=mrn splits embeddings in two: agent.embedding_dim=1 is too small$"),
        ("mrn_potential", 2, {}, "^energy=mrn splits embeddings in two: agent.embedding_dim=2 is too small$"),
        ("mrn", 4, {"eps": 0.0}, "^energy.eps must be positive, got 0.0: "),
    ],
)
def test_refuses_what_it_cannot_split(name, dim, hyperparameters, message):
    with pytest.raises(ValueError, match=message):
        check_dim(build(name, **hyperparameters), dim)


@pytest.mark.parametrize("name", ENERGIES)
def test_takes_every_dimension_that_it_does_not_refuse(name):
    taken = []
    for dim in range(1, 17):
        energy = ENERGIES.build({"name": name})
        try:
            check_dim(energy, dim)
        except ValueError:
            continue
        embeddings = torch.randn(2, 3, dim)
        assert energy.pairwise(*embeddings).isfinite().all()
        assert energy.paired(*embeddings).isfinite().all()
        taken.append(dim)
    assert 16 in taken


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
