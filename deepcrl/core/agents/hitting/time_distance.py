"""Embeddings whose distance is the time from a state-action to a goal (ChronoSRL)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, relu

from deepcrl.core.agents.hitting.labels import HittingLabels


def time_loss(distance: Tensor, labels: HittingLabels, valid: Tensor, *, per_step: float) -> Tensor:
    """Huber loss between distances [B] and `per_step` x the steps until the goal, over goals that were reached later.

    `valid` [B] bool says which rows count. Without any it is 0.
    """
    later = valid & labels.later
    loss = huber_loss(distance, per_step * labels.time.to(distance.dtype), reduction="none")
    return (loss * later).sum() / later.sum().clamp_min(1)


def separation_loss(
    distances: Tensor, goal: Tensor, labels: HittingLabels, valid: Tensor, *, radius: float, margin: float
) -> Tensor:
    """Hinge that keeps state-actions at least `margin` from goals [B, G] they do not reach: distances [B, B].

    These are the goals of other rows that lie farther than `radius` from a row's own, and its own if it was not
    reached. `valid` [B] bool says which rows count as state-actions; all goals count.
    """
    apart = torch.cdist(goal, goal) > radius
    own = torch.eye(len(goal), dtype=torch.bool, device=goal.device)
    pairs = torch.where(own, ~labels.hit[:, None], apart) & valid[:, None]
    return (relu(margin - distances) * pairs).sum() / pairs.sum().clamp_min(1)
