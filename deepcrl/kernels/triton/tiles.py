"""Tile sizes, chosen by a rule instead of an autotuner: docs/kernels.md gives the reasons.

A tuner picks by timings, so two runs could sum in different orders; a rule gives the same bits on every machine of a
kind, costs no start-up, and bounds the number of compilations to two per width and dtype.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from deepcrl.kernels.backend import Trunk

MAX_FUSED_WIDTH = 512
"""Widest row whose matmul fits one program: beyond, the tile of fp32 sums outgrows the registers."""

MAX_WIDTH = 8192
"""Widest row that one program normalises."""

_FEW_ROWS = 2048
"""Up to here 16-row tiles give each of about 130 processors at most one program; the weights are the traffic."""

_CHUNK_BYTES = 32768
"""Bytes of a weight chunk in shared memory; times the pipeline's stages it must fit 160 KiB."""


@dataclass(frozen=True, slots=True)
class MatmulTile:
    """Launch parameters of kernels with a matmul: rows, padded columns, depth of a chunk."""

    block_m: int
    block_n: int
    block_k: int
    num_warps: int
    num_stages: int

    def launch(self) -> dict[str, int]:
        return asdict(self)


def matmul_tile(num_rows: int, width: int, itemsize: int) -> MatmulTile:
    """Returns the tile for [num_rows, width] @ [width, width] with operands of `itemsize` bytes.

    At most 16 fp32 sums per thread: the backward kernel holds five such arrays besides the addresses of the pipeline.
    """
    block_n = next_power_of_two(width)
    block_m = 16 if num_rows <= _FEW_ROWS else max(16, min(64, 4096 // block_n))
    divides_width = width & -width
    block_k = min(32, max(16, _CHUNK_BYTES // (block_n * itemsize)), divides_width)
    num_warps = 4 if block_m * block_n < 4096 else 16 if block_n == 512 and itemsize == 2 else 8
    return MatmulTile(block_m, block_n, block_k, num_warps, 4)


@dataclass(frozen=True, slots=True)
class RowTile:
    """Launch parameters of the elementwise kernels: `steps` tiles of block_m rows per program."""

    block_m: int
    block_n: int
    steps: int
    num_warps: int
    num_stages: int = 2

    def launch(self) -> dict[str, int]:
        return asdict(self)


def row_tile(width: int) -> RowTile:
    """Returns the tile for a pass over [B, width]: 4096 elements at once, 4 times over."""
    block_n = next_power_of_two(width)
    return RowTile(max(1, min(32, 4096 // block_n)), block_n, 4, 4 if block_n <= 4096 else 8)


def next_power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def num_tiles(num_rows: int, block_m: int) -> int:
    return -(-num_rows // block_m)


def matmul_precision() -> str:
    """Returns how a trunk's tl.dot multiplies fp32: `tf32` where torch's own matmuls do. bf16 operands ignore it."""
    return precise() if torch.get_float32_matmul_precision() == "highest" else "tf32"


def precise() -> str:
    """Returns how tl.dot multiplies fp32 to about fp32's accuracy on matrix units.

    NVIDIA's sum three tf32 products (`ieee` leaves the tensor cores, and spills registers here); AMD's have fp32.
    """
    return "ieee" if torch.version.hip else "tf32x3"


def vector_pointers(trunk: Trunk) -> tuple[Tensor, Tensor, Tensor]:
    """Returns bias, scale, shift to point a kernel at; without norm the last two are never read."""
    scale, shift = trunk.scale, trunk.shift
    return trunk.bias, trunk.bias if scale is None else scale, trunk.bias if shift is None else shift


@dataclass(frozen=True, slots=True)
class PairTile:
    """Launch parameters of the pairwise kernels: rows x columns of the logits, and the padded embedding dimension."""

    block_m: int
    block_n: int
    block_d: int
    num_warps: int
    num_stages: int = 2

    def launch(self) -> dict[str, int]:
        return asdict(self)


def pair_tile(dim: int, *, hip: bool = torch.version.hip is not None) -> PairTile:
    """Returns the tile for embeddings [B, dim]: as many logits as leave the registers unspilled (docs/kernels.md)."""
    block_d = max(16, next_power_of_two(dim))
    wide = hip or block_d > 64
    return PairTile(16 if wide else 32, 32 if wide else 64, block_d, 4 if hip else 8)
