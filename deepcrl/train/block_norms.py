"""What goes on inside deep networks, block by block: the size of the residual stream and of the gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class HasBlocks(Protocol):
    """A network of K residual blocks, with weights of their own or shared, that can be looked at."""

    def block_norms(self, x: Tensor) -> dict[str, Tensor]:
        """Returns, on x [B, in_dim], what is worth knowing of each block, by name, first block first.

        `stream_rms` [K + 1]: the root mean square of the residual stream, before and after each block.
        `residual_norm` [K]: the L2 norm of what each block adds to it, averaged over the batch (paper, Fig. 17).
        """
        ...

    def block_gradient_norms(self) -> Tensor:
        """Returns the norm of the gradients of each block's own weights, as the last backward pass left them."""
        ...


def check_has_blocks(networks: Mapping[str, nn.Module]) -> None:
    """Raises ValueError if there is no network to look into."""
    if not any(isinstance(net, HasBlocks) for net in networks.values()):
        kinds = ", ".join(f"{name} is {type(net).__name__}" for name, net in networks.items())
        raise ValueError(f"log_blocks=true, but no network has residual blocks to look at: {kinds}")


@contextmanager
def watched(networks: Mapping[str, nn.Module], row: dict[str, float]) -> Iterator[None]:
    """Adds to `row` what a gradient step taken inside does to each block of each network that has some.

    Keys are `blocks/<network>/<what>/<block>`, blocks counted from 0000: what `HasBlocks.block_norms` returns, and
    `gradient_norm`. The stream is that of the network's last input in the step, with the weights as the step leaves
    them. The step itself is what it would be unwatched.
    """
    inputs: dict[str, Tensor] = {}

    def keep(name: str, _: nn.Module, args: tuple[Any, ...]) -> None:
        inputs[name] = args[0].detach()

    hooks = [
        net.register_forward_pre_hook(partial(keep, name))
        for name, net in networks.items()
        if isinstance(net, HasBlocks)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    for name, x in inputs.items():
        net = networks[name]
        assert isinstance(net, HasBlocks)
        values = {**net.block_norms(x), "gradient_norm": net.block_gradient_norms()}
        for what, per_block in values.items():
            row |= {f"blocks/{name}/{what}/{i:04}": value for i, value in enumerate(per_block.tolist())}
