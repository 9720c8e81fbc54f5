"""Every loss against loops in plain Python, gradients included, and the properties that any of them must have."""

import inspect
import math
from typing import Any

import pytest
import torch
from torch import nn

from deepcrl.core.components import LOSSES

SIZE = 6


def lse(values):
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def column(L, j):
    return [row[j] for row in L]


def others(values, i):
    return [v for k, v in enumerate(values) if k != i]


def forward(L, i):
    return -(L[i][i] - lse(L[i]))


def backward(L, j):
    return -(L[j][j] - lse(column(L, j)))


def decoupled(L, i):
    return -(L[i][i] - lse(others(L[i], i)))


def backward_decoupled(L, j):
    return -(L[j][j] - lse(others(column(L, j), j)))


def cross_entropies(L, i):
    return -sum(log_sigmoid(v) if i == j else log_sigmoid(-v) for j, v in enumerate(L[i]))


def scaled(L, scale, bias):
    return [[scale * v + bias for v in row] for row in L]


# name -> the term of row i, of which the loss is the mean; FlatNCE's is not its value but what it descends
TERMS = {
    "infonce": forward,
    "backward_infonce": backward,
    "symmetric_infonce": lambda L, i: forward(L, i) + backward(L, i),
    "binary_nce": lambda L, i: cross_entropies(L, i) / SIZE,
    "flatnce": decoupled,
    "backward_flatnce": backward_decoupled,
    "fb": lambda L, i: -L[i][i] + sum(v**2 for v in others(L[i], i)) / 2 / (SIZE - 1),
    "dpo": lambda L, i: -sum(log_sigmoid(L[i][i] - v) for v in others(L[i], i)) / (SIZE - 1),
    "ipo": lambda L, i: sum((L[i][i] - v - 1) ** 2 for v in others(L[i], i)) / (SIZE - 1),
    "sppo": lambda L, i: (SIZE * (L[i][i] - 1) ** 2 + sum((v + 1) ** 2 for v in others(L[i], i))) / SIZE,
    "dcl": decoupled,
    "infonce_temperature": forward,
    "siglip": lambda L, i: cross_entropies(scaled(L, 10, -10), i),
}
FLAT = {"flatnce", "backward_flatnce"}
PENALISED = {"siglip": lambda L: scaled(L, 10, -10)}


def expected(name, L, coef):
    penalised = PENALISED.get(name, lambda L: L)(L)
    penalty = sum(lse(row) ** 2 for row in penalised) / SIZE
    return sum(TERMS[name](L, i) for i in range(SIZE)) / SIZE + coef * penalty


def build(name, **hyperparameters) -> Any:
    loss = LOSSES.build({"name": name, **hyperparameters})
    return loss.double() if isinstance(loss, nn.Module) else loss


def logits(seed=0, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(size, size, generator=generator, dtype=torch.float64)


def gradient(loss, at):
    at = at.clone().requires_grad_()
    return torch.autograd.grad(loss(at), at)[0]


def test_every_loss_has_a_reference_here():
    assert set(TERMS) == set(LOSSES)


@pytest.mark.parametrize("name", sorted(set(TERMS) - FLAT))
@pytest.mark.parametrize("coef", [0.0, 0.1, 2.0])
def test_is_its_formula(name, coef):
    loss = build(name, logsumexp_coef=coef)(logits())
    assert loss.item() == pytest.approx(
        expected(name, logits().tolist(), coef), rel=1e-6 if name == "siglip" else 1e-12
    )


@pytest.mark.parametrize("name", sorted(FLAT))
def test_the_value_of_flatnce_is_flat(name):
    assert build(name, logsumexp_coef=0.0)(logits()).item() == pytest.approx(1, rel=1e-12)
    penalty = sum(lse(row) ** 2 for row in logits().tolist()) / SIZE
    assert build(name, logsumexp_coef=2.0)(logits()).item() == pytest.approx(1 + 2 * penalty, rel=1e-12)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("coef", [0.0, 0.1])
def test_gradient_is_that_of_its_formula_by_finite_differences(name, coef):
    found, step = gradient(build(name, logsumexp_coef=coef), logits()), 1e-5
    for i in range(SIZE):
        for j in range(SIZE):
            values = []
            for sign in (1, -1):
                L = logits().tolist()
                L[i][j] += sign * step
                values.append(expected(name, L, coef))
            assert found[i, j].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", sorted(set(TERMS) - FLAT))
def test_gradcheck(name):
    loss = build(name)
    parameters = tuple(loss.parameters()) if isinstance(loss, nn.Module) else ()
    assert torch.autograd.gradcheck(lambda L, *_: loss(L), (logits().requires_grad_(), *parameters))


@pytest.mark.parametrize("name", TERMS)
def test_does_not_depend_on_the_order_of_the_batch(name):
    order, loss = torch.tensor([3, 1, 5, 0, 2, 4]), build(name)
    torch.testing.assert_close(loss(logits()[order][:, order]), loss(logits()))
    torch.testing.assert_close(gradient(loss, logits()[order][:, order]), gradient(loss, logits())[order][:, order])


@pytest.mark.parametrize("name", sorted(set(TERMS) - FLAT))
def test_prefers_the_right_pairing(name):
    """Positives at 1 and negatives at -1 are right for losses that aim at a value, too."""
    right, loss = 2 * torch.eye(SIZE, dtype=torch.float64) - 1, build(name)
    assert loss(right) < loss(right.roll(1, dims=0))


@pytest.mark.parametrize("name", TERMS)
def test_descending_it_tells_the_pairs_apart(name):
    loss, L = build(name), 0.1 * logits()
    for _ in range(100):
        slope = gradient(loss, L)
        L -= 0.05 * slope / slope.abs().max()
    assert (L.argmax(dim=1) == torch.arange(SIZE)).all()
    assert (L.argmax(dim=0) == torch.arange(SIZE)).all()


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
def test_is_finite_with_its_gradient_for_extreme_logits(name, scale):
    L = (scale * logits()).float()
    loss = LOSSES.build({"name": name})
    assert loss(L).isfinite()
    assert gradient(loss, L).isfinite().all()


@pytest.mark.parametrize("name", TERMS)
def test_the_penalty_is_on_where_nothing_else_fixes_the_level_of_the_logits(name):
    loss = build(name, logsumexp_coef=0.0)
    level_is_free = torch.allclose(gradient(loss, logits()).sum(), torch.zeros((), dtype=torch.float64), atol=1e-9)
    assert (LOSSES.defaults(name)["logsumexp_coef"] > 0) == level_is_free


def test_symmetric_infonce_without_the_positive_in_the_denominator():
    L = logits().tolist()
    terms = [decoupled(L, i) + backward_decoupled(L, i) for i in range(SIZE)]
    loss = build("symmetric_infonce", positive_in_denominator=False, logsumexp_coef=0.0)
    assert loss(logits()).item() == pytest.approx(sum(terms) / SIZE, rel=1e-12)
    assert torch.autograd.gradcheck(loss, logits().requires_grad_())


def test_infonce_with_a_temperature_is_infonce_of_the_divided_logits():
    loss = build("infonce_temperature", initial_temperature=0.5, logsumexp_coef=0.3)
    torch.testing.assert_close(loss(logits()), build("infonce", logsumexp_coef=0.3)(2 * logits()))


def test_the_temperature_rises_when_confidence_is_wrong_and_falls_when_it_is_right():
    right = 5 * torch.eye(SIZE, dtype=torch.float64)
    for L, sign in ((right, 1), (right.roll(1, dims=0), -1)):
        loss = build("infonce_temperature", logsumexp_coef=0.0)
        loss(L).backward()
        assert loss.log_temperature.grad.sign() == sign


def test_siglip_at_scale_1_and_bias_0_is_binary_nce_times_the_batch():
    loss = build("siglip", initial_scale=1.0, initial_bias=0.0)
    torch.testing.assert_close(loss(logits()), SIZE * build("binary_nce")(logits()))


@pytest.mark.parametrize("name", [name for name in TERMS if inspect.isclass(LOSSES[name])])
def test_a_loss_with_parameters_moves_all_of_them(name):
    loss = build(name)
    loss(logits()).backward()
    assert all(p.grad != 0 and p.grad.isfinite() for p in loss.parameters())
    assert list(loss.parameters())


@pytest.mark.parametrize(
    ("name", "hyperparameter"), [("infonce_temperature", "initial_temperature"), ("siglip", "initial_scale")]
)
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_refuses_what_has_no_logarithm(name, hyperparameter, value):
    with pytest.raises(ValueError, match=f"^loss.{hyperparameter} must be positive, got {value}$"):
        build(name, **{hyperparameter: value})
