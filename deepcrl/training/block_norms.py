"""Metrics of each residual block of a network: the size of the residual stream and of the gradients.

Their keys in a row are `blocks/<network>/<statistic>/<block>`, blocks counted from 0000.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class HasBlocks(Protocol):
    """A network of K residual blocks, each with its own weights or all with the same ones."""

    def block_norms(self, x: Tensor) -> dict[str, Tensor]:
        """Returns statistics of each block on x [B, in_dim], by name, first block first.

        `stream_rms` [K + 1]: the root mean square of the residual stream, before and after each block.
        `residual_norm` [K]: the L2 norm of what each block adds to it, averaged over the batch (paper, Fig. 17).
        """
        ...

    def block_gradient_norms(self) -> Tensor:
        """Returns the norm of the gradients of each block's own weights, as the last backward pass left them."""
        ...


def check_has_blocks(networks: Mapping[str, nn.Module]) -> None:
    """Raises ValueError if no network has residual blocks."""
    if not any(isinstance(net, HasBlocks) for net in networks.values()):
        kinds = ", ".join(f"{name} is {type(net).__name__}" for name, net in networks.items())
        raise ValueError(f"log_blocks=true, but no network has residual blocks to look at: {kinds}")


def block_key(network: str, statistic: str, block: int) -> str:
    """Returns the key of one block's statistic in a row of metrics."""
    return f"blocks/{network}/{statistic}/{block:04}"


def last_blocks(rows: Iterable[Mapping[str, float]]) -> dict[tuple[str, str], list[float]]:
    """Returns, by (network, statistic), the value of each block in the last row that has any, first block first."""
    last: dict[str, float] = {}
    for row in rows:
        last = {key: value for key, value in row.items() if key.startswith("blocks/") and key.count("/") >= 3} or last
    blocks: dict[tuple[str, str], list[float]] = {}
    for key in sorted(last):
        network, statistic, _ = key.removeprefix("blocks/").rsplit("/", 2)  # a learner's network has a slash
        blocks.setdefault((network, statistic), []).append(last[key])
    return blocks


@contextmanager
def log_block_norms(networks: Mapping[str, nn.Module], row: dict[str, float]) -> Iterator[None]:
    """Adds to `row` the statistics of each block of each network that has some, in the gradient step taken inside.

    They are those of `HasBlocks.block_norms`, and `gradient_norm`. The stream is that of the network's last input in
    the step, with the weights as the step leaves them. Nothing about the step itself changes.
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
        statistics = {**net.block_norms(x), "gradient_norm": net.block_gradient_norms()}
        for statistic, per_block in statistics.items():
            row |= {block_key(name, statistic, i): value for i, value in enumerate(per_block.tolist())}
