"""The base class of agents: networks, target networks, optimisers and random streams, and how all of it is saved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.inputs import AgentInputs, MakeEncoder
from deepcrl.core.agents.common.optimizer import Adam, project_after_steps
from deepcrl.core.checks import above
from deepcrl.core.modules import copied
from deepcrl.core.seeding import generator
from deepcrl.core.states import check_finite, check_module, check_optimizer


class TrainableAgent:
    """Keeps what an agent learns and draws from, each by its name: it is saved, and goes on bit for bit.

    An agent adds its networks and optimisers in its constructor, and brings `act`, `update` and, if it has a critic,
    `value` (`core.types`). Nothing here waits for the device.
    """

    needs_transitions = False
    unused_groups: tuple[str, ...] = ()
    """Groups of the run that have no effect on this agent."""

    def __init__(self, inputs: AgentInputs) -> None:
        self._seed, self._device, self._bf16 = inputs.seed, inputs.device, inputs.precision == "bf16"
        self._gradient_clip, self._lr_warmup_steps = inputs.gradient_clip, inputs.lr_warmup_steps
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

    def add_modules(self, **candidates: object) -> list[nn.Module]:
        """Adds those that are modules to the networks, such as an energy or a loss with parameters; returns them."""
        modules = {name: item.to(self._device) for name, item in candidates.items() if isinstance(item, nn.Module)}
        self.networks |= modules
        return list(modules.values())

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
        device = "cpu" if self._device.type == "meta" else self._device
        self.generators[name] = generator(self._seed, name, device)

    def step(self, name: str, loss: Tensor) -> Tensor:
        """Takes one step of optimiser `name` down the loss; returns the gradient's norm, as it was before clipping."""
        norm = self.backward(name, loss)
        self.step_optimizer(name)
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

    def step_optimizer(self, name: str) -> None:
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
                check_module(f"{kind}/{name}", net)
        with torch.no_grad():
            for name, scalar in self.scalars.items():
                check_finite(name, state[name], scalar)
                scalar.copy_(state[name])
        for name, optimizer in self.optimizers.items():
            before = optimizer.state_dict()
            optimizer.load_state_dict(state["optimizers"][name])
            check_optimizer(name, optimizer, before, state["optimizers"][name])
        for name, g in self.generators.items():
            g.set_state(state["generators"][name])
