"""Safe-CRL (Li et al. 2026, arXiv 2608.26571): what a fall takes away, for an actor that would not miss it.

A fall cuts the future off, and a contrastive critic sees only what was left, renormalised: dying early costs nothing.
What is missing is the mass Z(s, a), the probability to survive a geometric number of steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.checks import one_of
from deepcrl.core.losses.weighted import check_weighted
from deepcrl.core.modules import detached
from deepcrl.core.types import Batch, FutureBatch

MODES = ("none", "log_z", "mass", "both")
"""What `agent.survival` of `crl` may be."""


class Survival:
    """What the data, and for `log_z` and `both` a network, say about survival. Does nothing for `none`.

    The network `survival` learns Z(s, a) as a logit, of states and actions without a goal. Its label is the probability
    that a geometric horizon H, P(H = h) = (1 - discount) discount^(h - 1), ends before the fall: 1 - discount^L with L
    steps left before one, 1 where no fall was seen. The paper draws H; this is the mean of its label, with less noise.
    """

    def __init__(
        self, agent: TrainableAgent, inputs: AgentInputs, *, mode: str, lr: float, discount: float, action_dim: int
    ) -> None:
        """Adds the network, which reads `action_dim` numbers of actions; `discount` 0 is that of the relabelling.

        Raises ValueError for an unknown mode, for a loss without weights for its rows, and for a missing discount.
        """
        one_of("agent.survival", mode, MODES)
        self.used, self._mass, self.in_value = mode != "none", mode in ("mass", "both"), mode in ("log_z", "both")
        if not self.used:
            return
        check_weighted(f"agent.survival={mode}", inputs.loss)
        self._log_discount = math.log(_discount(mode, discount, inputs.relabel_discount))
        if self.in_value:
            self._agent, spec = agent, inputs.spec
            encoder = inputs.shallow_encoder or inputs.sa_encoder
            self._net = agent.add_network("survival", encoder, spec.state_dim + action_dim, 1)
            self._detached_net = detached(self._net)
            agent.add_optimizer("survival", list(self._net.parameters()), lr)

    def log_z(self, state: Tensor, action: Tensor) -> Tensor:
        """Returns log Z [B] of states [B, S] and actions [B, A]; gradients reach these only."""
        return logsigmoid(self._agent.encode(self._detached_net, state, action)[:, 0])

    def row_weight(self, batch: Batch) -> Tensor | None:
        """Returns the weights [B] of the critic's rows, None for `none`.

        A step that fell has no future, so it is no positive: its weight is 0. Other rows count by their mass, or fully.
        """
        if not self.used:
            return None
        assert isinstance(batch, FutureBatch)
        return self._label(batch) if self._mass else 1 - (batch.fell & (batch.steps_left == 0)).float()

    def backward(self, batch: Batch, action: Tensor) -> dict[str, Tensor]:
        """Gives the network, if there is one, its gradients for `action` [B, .]; returns 0-dim metrics."""
        if not self.used:
            return {}
        assert isinstance(batch, FutureBatch)
        metrics = {"survival/fell": batch.fell.float().mean()}
        if not self.in_value:
            return metrics
        logit = self._agent.encode(self._net, batch.state, action)[:, 0]
        label = self._label(batch)
        loss = binary_cross_entropy_with_logits(logit, label)
        self._agent.backward("survival", loss)
        predicted = logit.detach().sigmoid().mean()
        return metrics | {"survival/loss": loss.detach(), "survival/mean": predicted, "survival/label": label.mean()}

    def step(self) -> None:
        """Takes a step of the network, if there is one, along its gradients."""
        if self.in_value:
            self._agent.step_optimizer("survival")

    def _label(self, batch: FutureBatch) -> Tensor:
        """Returns the probability [B] to survive, as far as each row's own trajectory tells."""
        survived = -torch.expm1(batch.steps_left * self._log_discount)
        return torch.where(batch.fell, survived, 1.0)


def _discount(mode: str, discount: float, of_the_relabelling: float | None) -> float:
    if not 0 <= discount < 1:
        raise ValueError(f"agent.survival_discount must be between 0 and 1, 1 excluded, got {discount}")
    if not discount and of_the_relabelling is None:
        raise ValueError(
            f"agent.survival={mode} needs a discount, which this relabelling has not; "
            "set agent.survival_discount, such as 0.99"
        )
    return discount or of_the_relabelling or 0.0
