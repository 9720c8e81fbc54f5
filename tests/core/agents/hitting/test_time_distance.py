"""Distances that are times: both losses against loops in float64, with gradients."""

from __future__ import annotations

import torch

from deepcrl.core.agents.hitting.labels import HittingLabels
from deepcrl.core.agents.hitting.time_distance import separation_loss, time_loss

SIZE, PER_STEP, MARGIN, RADIUS = 9, 0.05, 1.0, 0.7


def make_labels() -> tuple[HittingLabels, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    hit, valid = torch.rand(2, SIZE, generator=g) < 0.7
    time = torch.randint(0, 40, (SIZE,), generator=g)
    time[0] = 0
    return HittingLabels(hit, time, known=torch.ones(SIZE, dtype=torch.bool)), valid


def test_time_loss_is_a_loop() -> None:
    labels, valid = make_labels()
    distance = torch.rand(SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3
    distance.requires_grad_()
    terms = []
    for i in range(SIZE):
        if valid[i] and labels.hit[i] and labels.time[i] >= 1:
            error = (distance[i] - PER_STEP * labels.time[i]).abs()
            terms.append(0.5 * error**2 if error < 1 else error - 0.5)
    assert 1 < len(terms) < SIZE
    expected, ours = torch.stack(terms).mean(), time_loss(distance, labels, valid, per_step=PER_STEP)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, distance)[0] for loss in (ours, expected)))
    assert time_loss(distance, labels, valid & False, per_step=PER_STEP) == 0


def test_separation_is_a_loop() -> None:
    labels, valid = make_labels()
    g = torch.Generator().manual_seed(1)
    goal = 0.7 * torch.randn(SIZE, 2, generator=g, dtype=torch.float64)
    distances = torch.rand(SIZE, SIZE, generator=g, dtype=torch.float64).mul(1.5).requires_grad_()
    terms, near = [], 0
    for i in range(SIZE):
        for j in range(SIZE):
            apart = not labels.hit[i] if i == j else (goal[i] - goal[j]).norm() > RADIUS
            near += i != j and not apart
            if valid[i] and apart:
                terms.append((MARGIN - distances[i, j]).clamp_min(0))
    assert near
    expected, ours = (
        torch.stack(terms).mean(),
        separation_loss(distances, goal, labels, valid, radius=RADIUS, margin=MARGIN),
    )
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, distances)[0] for loss in (ours, expected)))


def test_nothing_pushes_what_is_far_enough_apart() -> None:
    labels, valid = make_labels()
    distances = torch.full((SIZE, SIZE), MARGIN + 0.01, requires_grad=True)
    loss = separation_loss(distances, torch.randn(SIZE, 2), labels, valid, radius=RADIUS, margin=MARGIN)
    loss.backward()
    assert distances.grad is not None
    assert not distances.grad.any()
