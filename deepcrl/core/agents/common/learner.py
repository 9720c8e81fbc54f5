"""What agents share: networks, their slow copies, optimisers and random streams, and how all of it is saved."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.adam import Adam
from deepcrl.core.agents.common.inputs import MakeEncoder, Parts
from deepcrl.core.agents.common.projection import project_after_steps
from deepcrl.core.checks import above
from deepcrl.core.seeding import generator


class Learner:
    """Keeps what an agent learns and draws from, each by its name: it is saved, and goes on bit for bit.

    An agent adds to it in its constructor, and brings `act` and `update`. Nothing here waits for the device.
    """

    needs_transitions = False
    unused_groups: tuple[str, ...] = ()
    """Groups of the run that have no effect on this agent."""

    def __init__(self, parts: Parts) -> None:
        self._seed, self._device, self._bf16 = parts.seed, parts.device, parts.precision == "bf16"
        self._gradient_clip, self._lr_warmup_steps = parts.gradient_clip, parts.lr_warmup_steps
        self.networks: dict[str, nn.Module] = {}
        self.targets: dict[str, nn.Module] = {}
        """By the name of the network that each one follows."""
        self.scalars: dict[str, nn.Parameter] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self._final_lr: dict[str, float] = {}
        self.generators: dict[str, torch.Generator] = {}
        """Everything that `act` and `update` draw from."""

    def add_network(self, name: str, make: MakeEncoder, in_dim: int, out_dim: int) -> nn.Module:
        """Builds a network. It is drawn on the CPU: the same weights on every device."""
        self.networks[name] = make(in_dim, out_dim, generator(self._seed, f"init/{name}")).to(self._device)
        return self.networks[name]

    def add_parts(self, **parts: object) -> list[nn.Module]:
        """Adds those parts of the critic, such as its energy, that own parameters; returns them."""
        owners = {name: part.to(self._device) for name, part in parts.items() if isinstance(part, nn.Module)}
        self.networks |= owners
        return list(owners.values())

    def add_target(self, name: str) -> nn.Module:
        """Builds a copy of network `name` that no gradient moves, only `move_targets`."""
        self.targets[name] = copied(self.networks[name]).requires_grad_(False)
        return self.targets[name]

    def add_scalar(self, name: str, value: float) -> nn.Parameter:
        self.scalars[name] = nn.Parameter(torch.full((), value, device=self._device))
        return self.scalars[name]

    def add_optimizer(self, name: str, parameters: list[nn.Parameter], lr: float) -> None:
        """Adds an Adam with PyTorch's defaults; ValueError for a learning rate, `{name}_lr`, that is not positive."""
        above(f"agent.{name}_lr", lr, 0)
        # A CUDA graph would replay the number that a rate was; a tensor may change. One on `meta` has no value to check
        changes = self._lr_warmup_steps and self._device.type != "meta"
        rate = torch.tensor(lr, device=self._device) if changes else lr
        self.optimizers[name] = Adam(parameters, lr=rate, fused=True)
        self._final_lr[name] = lr
        project_after_steps(self.optimizers[name], self.networks.values())

    def add_generator(self, name: str) -> None:
        draws = "cpu" if self._device.type == "meta" else self._device
        self.generators[name] = generator(self._seed, name, draws)

    def step(self, name: str, loss: Tensor) -> Tensor:
        """Takes one step of optimiser `name` down the loss; returns the gradient's norm, as it was before clipping."""
        norm = self.backward(name, loss)
        self.apply(name)
        return norm

    def backward(self, name: str, loss: Tensor) -> Tensor:
        """Gives the parameters of optimiser `name` the loss's gradients, clipped; returns their norm before that."""
        parameters = [p for group in self.optimizers[name].param_groups for p in group["params"]]
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self._gradient_clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, self._gradient_clip, norm)
        return norm

    def apply(self, name: str) -> None:
        """Takes one step of optimiser `name` along the gradients that its parameters have."""
        if self._lr_warmup_steps:
            self._warm_up(name)
        self.optimizers[name].step()

    def _warm_up(self, name: str) -> None:
        """Sets the learning rate of the next step, from the number of those taken, which Adam keeps and saves."""
        optimizer = self.optimizers[name]
        taken = next((state["step"] for state in optimizer.state.values()), torch.zeros((), device=self._device))
        share = ((taken + 1) / self._lr_warmup_steps).clamp(max=1)
        for group in optimizer.param_groups:
            group["lr"].copy_(self._final_lr[name] * share)

    def move_targets(self, tau: float) -> None:
        """Moves every target by the share `tau` of the way to its network."""
        for name, target in self.targets.items():
            slow, fast = list[Tensor](target.parameters()), list[Tensor](self.networks[name].parameters())
            with torch.no_grad():
                torch._foreach_lerp_(slow, fast, tau)  # pyright: ignore[reportPrivateImportUsage]

    def encode(self, net: nn.Module, *inputs: Tensor) -> Tensor:
        """Runs `net` on the concatenated inputs [B, .] at the run's precision; the result is fp32."""
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16):
            return net(torch.cat(inputs, dim=-1)).float()

    def state_dict(self) -> dict[str, Any]:
        return {
            "networks": {name: net.state_dict() for name, net in self.networks.items()},
            "targets": {name: net.state_dict() for name, net in self.targets.items()},
            **{name: scalar.detach() for name, scalar in self.scalars.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "generators": {name: g.get_state() for name, g in self.generators.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for kind, nets in (("networks", self.networks), ("targets", self.targets)):
            for name, net in nets.items():
                net.load_state_dict(state[kind][name])
        with torch.no_grad():
            for name, scalar in self.scalars.items():
                scalar.copy_(state[name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, g in self.generators.items():
            g.set_state(state["generators"][name])


Part = TypeVar("Part")


def copied(part: Part) -> Part:
    """Returns a copy of a module; anything else learns nothing, and is returned as it is.

    Its tensors are cloned first: where a run is sized up they have no data, of which PyTorch's own copy would complain.
    """
    if not isinstance(part, nn.Module):
        return part
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach().clone()) for p in part.parameters()}
    memo |= {id(buffer): buffer.clone() for buffer in part.buffers()}
    return copy.deepcopy(part, memo)


def constant(part: Part) -> Part:
    """Returns a module that shares the numbers of `part`, whoever changes them, and has no gradients for them."""
    if not isinstance(part, nn.Module):
        return part
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in part.parameters()}
    memo |= {id(buffer): buffer for buffer in part.buffers()}
    return copy.deepcopy(part, memo)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Spares autograd the gradients of the modules' parameters; those of their inputs are still computed."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
