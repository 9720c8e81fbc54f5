"""Compiles the shipped kernels without a GPU, and reads what they need: registers, spills, shared memory.

`python -m benchmarks.triton_aot [--target NAME ...] [--json FILE]`. ptxas and LLVM come with Triton's wheel.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from deepcrl.kernels.triton import infonce_kernels, norm, stack
from deepcrl.kernels.triton.tiles import matmul_tile, pair_tile, row_tile

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
SHARED_LIMIT = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_100": 227 << 10, "gfx942": 64 << 10}
"""Bytes of shared memory that one program may have: CUDA programming guide, compute capabilities; CDNA 3 ISA guide."""
REGISTER_LIMIT = {"sm_80": 255, "sm_90": 255, "sm_100": 255, "gfx942": 512}
"""32-bit registers per thread; gfx942 counts vector and accumulation registers together."""


MATMULS = (
    (256, 512, "bf16"),
    (256, 512, "fp32"),
    (128, 8192, "bf16"),
    (128, 8192, "fp32"),
    (512, 512, "bf16"),
    (512, 512, "fp32"),
)
"""Width, rows and operands: the paper's network first, then the largest tile of rows, then the widest row."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One kernel with everything that its machine code depends on."""

    kernel: Any
    name: str
    constants: dict[str, Any]
    dtypes: dict[str, str]
    """Element types of the pointers that are not fp32."""
    num_warps: int
    num_stages: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What one compiled variant takes per thread (registers, spill bytes) and per program (shared bytes)."""

    kernel: str
    target: str
    registers: int
    spill_bytes: int
    shared_bytes: int
    code_bytes: int


def variants(*, hip: bool) -> Iterator[Variant]:
    """Yields the shipped configurations: on AMD without those of the stack, which does not run there."""
    if not hip:
        yield from _stack()
    yield from _elementwise()
    yield from _pairwise(hip=hip)


def _stack() -> Iterator[Variant]:
    for width, rows, dtype in MATMULS:
        tile = matmul_tile(rows, width, 2 if dtype == "bf16" else 4)
        form = {"norm": True, "swish": True, "precision": "tf32x3", "width": width}
        form |= {"block_m": tile.block_m, "block_n": tile.block_n, "block_k": tile.block_k}
        label = f"W={width} M={tile.block_m} {dtype}"
        launch = (tile.num_warps, tile.num_stages)
        operands = {f"{name}_ptr": dtype for name in ("weight", "inputs", "dense", "grad_dense", "a", "cast")}
        forward = form | {"block_layers": 4, "keep_inputs": True, "keep": True}
        yield Variant(stack.stack_forward_kernel, f"stack forward {label}", forward, operands, *launch)
        backward = form | {"block_layers": 4, "weight_wanted": True, "vectors_wanted": True}
        yield Variant(stack.stack_backward_kernel, f"stack backward {label}", backward, operands, *launch)


def _elementwise() -> Iterator[Variant]:
    for width in (256, 1024):
        tile = row_tile(width)
        form = {"norm": True, "swish": True, "width": width, "block_m": tile.block_m, "block_n": tile.block_n}
        form |= {"steps": tile.steps}
        dtypes = {"z_ptr": "bf16", "cast_ptr": "bf16", "dz_ptr": "bf16", "g_ptr": "bf16"}
        label, launch = f"W={width} bf16", (tile.num_warps, tile.num_stages)
        forward = form | {"residual": True, "cast": True, "keep": True}
        yield Variant(norm.norm_forward_kernel, f"norm forward {label}", forward, dtypes, *launch)
        backward = form | {"vectors_wanted": True}
        yield Variant(norm.norm_backward_kernel, f"norm backward {label}", backward, dtypes, *launch)


def _pairwise(*, hip: bool) -> Iterator[Variant]:
    for energy, dim in (("norm", 64), ("cosine", 64), ("norm", 128)):
        tile = pair_tile(dim, hip=hip)
        form = {"energy": energy, "eps": 1e-6, "dim": dim, "precision": "ieee" if hip else "tf32x3"}
        form |= {"block_m": tile.block_m, "block_n": tile.block_n, "block_d": tile.block_d}
        label, launch = f"{energy} D={dim}", (tile.num_warps, tile.num_stages)
        yield Variant(infonce_kernels.rows_kernel, f"infonce forward {label}", form, {}, *launch)
        for side, transposed in (("sa", False), ("g", True)):
            grad = form | {"transposed": transposed}
            yield Variant(infonce_kernels.gradient_kernel, f"infonce backward of {side} {label}", grad, {}, *launch)


def compile_variant(variant: Variant, target: str) -> Resources:
    """Compiles to a cubin or hsaco and reads its resources from the compiler's report."""
    fn = variant.kernel
    scalars = dict.fromkeys(("num_rows", "num_blocks", "num_layers"), "i32")
    signature, attrs = {}, {}
    for index, name in enumerate(fn.arg_names):
        if name in variant.constants:
            signature[name] = "constexpr"
        elif name in scalars:
            signature[name] = scalars[name]
        else:
            signature[name] = f"*{variant.dtypes.get(name, 'fp32')}"
            if name != "stats_ptr":  # a layer's slice of it may start anywhere
                attrs[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn, signature, variant.constants, attrs)
    options = {"num_warps": variant.num_warps, "num_stages": variant.num_stages}
    binary = triton.compile(source, target=TARGETS[target], options=options)
    asm, shared = binary.asm, binary.metadata.shared
    read = _read_cuda if target.startswith("sm_") else _read_hip
    registers, spill, code = read(asm)
    return Resources(variant.name, target, registers, spill, shared, code)


def _read_cuda(asm: Any) -> tuple[int, int, int]:
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(asm["cubin"])
        file.flush()
        report = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    usage = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", report.stdout))
    return int(usage["REG"]), int(usage["STACK"]) + int(usage["LOCAL"]), len(asm["cubin"])


def _read_hip(asm: Any) -> tuple[int, int, int]:
    def count(key: str) -> int:
        return int(re.findall(rf"\.{key}:\s+(\d+)", asm["amdgcn"])[-1])

    return count("vgpr_count"), 4 * count("vgpr_spill_count"), len(asm["hsaco"])


def main() -> None:
    """Prints one JSON row per kernel and target; with --json, appends them to a file too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--only", default="", help="kernels whose name contains this")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    for target in args.target or TARGETS:
        for variant in variants(hip=target.startswith("gfx")):
            if args.only not in variant.name:
                continue
            row = json.dumps(
                {"benchmark": "aot", "triton": triton.__version__} | asdict(compile_variant(variant, target))
            )
            print(row)
            sys.stdout.flush()
            if args.json:
                with args.json.open("a") as file:
                    file.write(row + "\n")


if __name__ == "__main__":
    main()
