"""Small pieces for tests of agents: encoders that know nothing of ours, batches, and Adam's first step."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.crl import CRL
from deepcrl.core.components import ENERGIES, LOSSES
from deepcrl.core.types import Batch, EnvSpec, FutureBatch, TransitionBatch

SPEC = EnvSpec(state_dim=5, action_dim=3, goal_indices=(0, 1), success_radius=1.0)


def plain(in_dim: int, out_dim: int, generator: torch.Generator) -> nn.Module:
    net = nn.Sequential(nn.Linear(in_dim, 16), nn.SiLU(), nn.Linear(16, out_dim))
    for p in net.parameters():
        nn.init.uniform_(p, -0.4, 0.4, generator=generator)
    return net


def make_inputs(
    spec: EnvSpec = SPEC, encoder: Any = plain, energy: str = "norm", precision: str = "fp32", loss: str = "infonce"
) -> AgentInputs:
    built = ENERGIES.build({"name": energy}), LOSSES.build({"name": loss})
    return AgentInputs(spec, encoder, encoder, encoder, *built, torch.device("cpu"), precision, seed=0)


def make_crl(
    encoder: Any = plain,
    precision: str = "fp32",
    loss: str = "infonce",
    energy: str = "norm",
    **hyperparameters: Any,
) -> CRL:
    inputs = make_inputs(encoder=encoder, energy=energy, precision=precision, loss=loss)
    return CRL(inputs, **{"embedding_dim": 8, **hyperparameters})


def make_hindsight_batch(size: int = 32) -> Batch:
    g = torch.Generator().manual_seed(1)
    action = torch.rand(size, 3, generator=g) * 2 - 1
    return Batch(torch.randn(size, 5, generator=g), action, torch.randn(size, 2, generator=g))


def make_batch(size: int = 32, seed: int = 1) -> TransitionBatch:
    """Transitions of which some end at their goal, and some terminate."""
    g = torch.Generator().manual_seed(seed)
    state, next_state = torch.randn(2, size, 5, generator=g)
    goal, next_achieved = torch.randn(2, size, 2, generator=g)
    action = torch.rand(size, 3, generator=g) * 1.8 - 0.9
    return TransitionBatch(state, action, goal, next_state, next_achieved, torch.arange(size) % 5 == 0)


def make_bandit(size: int = 128) -> TransitionBatch:
    """Steps that end their episode, at the goal if the first action is positive."""
    batch = make_batch(size)
    away = 3.0 * (batch.action[:, :1] <= 0)
    return replace(batch, next_achieved=batch.goal + away, terminated=torch.ones(size, dtype=torch.bool))


def double(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).double()


def noise_of(generator: torch.Generator, *shape: int) -> Tensor:
    """What `generator` will draw next, in fp64; the generator stays where it is."""
    clone = torch.Generator()
    clone.set_state(generator.get_state())
    return torch.randn(*shape, generator=clone).double()


def squashed(features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The action of a squashed Gaussian and its log density, by PyTorch's distributions."""
    mean, raw = features.chunk(2, dim=-1)
    normal = torch.distributions.Normal(mean, (-5 + 3.5 * (torch.tanh(raw) + 1)).exp())
    before = mean + normal.scale * noise
    action = before.tanh()
    return action, (normal.log_prob(before) - torch.log(1 - action**2 + 1e-6)).sum(-1)


def after_adam(loss: Tensor, parameters: Iterable[Tensor], lr: float) -> list[Tensor]:
    """The parameters after Adam's first step down the loss, with PyTorch's defaults."""
    parameters = list(parameters)
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    return [p.detach() - lr * g / (g.abs() + 1e-8) for p, g in zip(parameters, gradients, strict=True)]


def assert_parameters(module: nn.Module, expected: Iterable[Tensor], atol: float = 2e-5) -> None:
    """Adam's step has the size lr whatever the gradient: only where |gradient| ~ eps may rounding show."""
    for ours, want in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(ours.detach().double(), want.double(), rtol=0, atol=atol)


def make_windows(achieved: Tensor, steps_left: Tensor, fell: Tensor | None = None, seed: int = 1) -> FutureBatch:
    """Rows whose states and the next achieve [B, W, G], and which have so many steps left, after which some fell."""
    size = len(achieved)
    known = dataclasses.asdict(make_batch(size, seed))
    known["goal"] = known["next_achieved"] = achieved[:, 0]
    fell = torch.zeros(size, dtype=torch.bool) if fell is None else fell
    known |= {"terminated": fell & (steps_left == 0), "steps_left": steps_left, "fell": fell}
    return FutureBatch(**known, next_actions=torch.zeros(size, 0, 3), achieved_ahead=achieved)
