"""The trunk operator against the fp64 reference: values, every gradient, and what must not be computed or read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from deepcrl.kernels import dispatch, reference
from deepcrl.kernels.native import build
from deepcrl.kernels.trunk import residual_trunk
from tests.kernels.conftest import operands, relative_error

# Norm of the error over norm of the truth. fp32: rounding, grown over up to 16 layers. bf16 has 8 bits: half a unit in
# the last place is 2e-3, and gradients pass through it twice per layer.
TOLERANCE = {"fp32": 5e-6, "bf16": 3e-2}


@pytest.fixture(params=["eager", "native", "stack"])
def kernels(request, monkeypatch):
    """Runs the test on plain torch, on the library between torch's matmuls, and on the whole-stack kernels."""
    path = request.param
    if path != "eager" and build.compiler() is None:
        pytest.skip("needs a C++ compiler: apt-get install g++")
    bf16 = "bf16" in request.node.callspec.params.values()
    if path == "stack" and not build.stack_supported(bf16):
        pytest.skip(f"runs on x86 with {'AVX512_BF16 and without AMX' if bf16 else 'AVX2 or AVX-512'}")
    monkeypatch.setattr(dispatch, "_chosen", "eager" if path == "eager" else "auto")
    if path == "native":
        monkeypatch.setattr(build, "stack_supported", lambda bf16: False)
    return path


def compare(tensors, *, precision="fp32", block_layers=4, activation="swish", checkpoint_blocks=0, tolerance=None):
    """Checks output and all gradients, for a random grad_output, against fp64."""
    form = {"block_layers": block_layers, "activation": activation}
    mine: list[Any] = [None if t is None else t.clone().requires_grad_() for t in tensors]
    truth: list[Any] = [None if t is None else t.double().requires_grad_() for t in tensors]
    y = residual_trunk(*mine, **form, bf16=precision == "bf16", checkpoint_blocks=checkpoint_blocks)
    expected = reference.residual_trunk(*truth, **form)
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    names = ["y", "x", "weight", "bias", "scale", "shift"]
    got = [y, *torch.autograd.grad(y, [t for t in mine if t is not None], grad)]
    want = [expected, *torch.autograd.grad(expected, [t for t in truth if t is not None], grad.double())]
    for name, value, target in zip(names, got, want, strict=False):
        assert value.dtype == torch.float32, name
        assert relative_error(value, target) < (tolerance or TOLERANCE[precision]), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rows", [1, 2, 3, 17, 63, 65, 256, 600])
def test_equals_reference(kernels, precision, rows):
    compare(operands(rows, 64, 16), precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("width", [16, 48, 256, 512])
def test_any_width(kernels, precision, width):
    compare(operands(33, width, 4), precision=precision)


@pytest.mark.parametrize("activation", ["swish", "relu"])
@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("block_layers", [1, 2, 4])
def test_ablations(kernels, activation, layer_norm, block_layers):
    compare(operands(33, 32, 4, layer_norm=layer_norm), activation=activation, block_layers=block_layers)


def test_depth_that_is_no_multiple_of_the_weight_gradient_chunk(kernels):
    compare(operands(5, 32, 12))


def test_large_rows_and_offsets(kernels):
    """LayerNorm of rows whose mean is far above their spread, and activations far into both tails."""
    x, weight, bias, scale, shift = operands(16, 64, 4)
    compare([x, weight, bias + 100, 30 * scale, shift], tolerance=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 9])
def test_checkpointing_changes_no_bit(kernels, precision, blocks):
    tensors = [t.requires_grad_() for t in operands(7, 32, 16)]

    def run(checkpoint_blocks):
        form = {"block_layers": 4, "activation": "swish", "bf16": precision == "bf16"}
        y = residual_trunk(*tensors, **form, checkpoint_blocks=checkpoint_blocks)
        return [y, *torch.autograd.grad(y.square().sum(), tensors)]

    for plain, checkpointed in zip(run(0), run(blocks), strict=True):
        assert torch.equal(plain, checkpointed)


def test_checkpointing_keeps_only_the_stream():
    kept = {}
    for blocks in (0, 2):
        tensors = [t.requires_grad_() for t in operands(64, 32, 32)]
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=saved: s.append(t) or t, lambda t: t):
            residual_trunk(*tensors, block_layers=4, activation="swish", checkpoint_blocks=blocks)
        parameters = {id(t) for t in tensors}
        kept[blocks] = sum(t.numel() for t in saved if id(t) not in parameters)
    assert kept[2] == 3 * 64 * 32
    assert kept[0] > 60 * 64 * 32


@pytest.mark.parametrize("checkpoint_blocks", [0, 1])
@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=5))[1:])
def test_computes_exactly_the_wanted_gradients(kernels, wanted, checkpoint_blocks):
    def run(flags):
        tensors = [t.requires_grad_(flag) for t, flag in zip(operands(9, 32, 8), flags, strict=True)]
        y = residual_trunk(*tensors, block_layers=4, activation="swish", checkpoint_blocks=checkpoint_blocks)
        y.square().sum().backward()
        return [t.grad for t in tensors]

    for flag, some, all_of_them in zip(wanted, run(wanted), run([True] * 5), strict=True):
        assert (some is not None) == flag
        assert not flag or torch.equal(some, all_of_them)


def test_frozen_weights_cost_no_weight_gradient_and_keep_no_inputs(kernels, monkeypatch):
    x, *parameters = operands(9, 32, 8)
    calls = []
    bmm = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda *args, **kwargs: calls.append(1) or bmm(*args, **kwargs))
    y = residual_trunk(x.requires_grad_(), *parameters, block_layers=4, activation="swish")
    y.sum().backward()
    assert not calls
    _, inputs, *_ = torch.ops.deepcrl.trunk(x.detach(), *parameters, 4, "swish", False, 8, 1)
    assert inputs.numel() == 0


def test_saves_nothing_without_grad():
    tensors = [t.requires_grad_() for t in operands(9, 32, 8)]
    with torch.no_grad():
        y = residual_trunk(*tensors, block_layers=4, activation="swish")
    assert y.grad_fn is None
    kept = torch.ops.deepcrl.trunk(*[t.detach() for t in tensors], 4, "swish", True, 8, 0)[1:]
    assert sum(t.numel() for t in kept) == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("checkpoint_blocks", [0, 1])
def test_reads_no_uninitialised_memory(kernels, poisoned, precision, checkpoint_blocks):
    compare(operands(33, 32, 12), precision=precision, checkpoint_blocks=checkpoint_blocks)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_same_bits_every_time(kernels, precision):
    def run():
        tensors = [t.requires_grad_() for t in operands(129, 64, 8)]
        y = residual_trunk(*tensors, block_layers=4, activation="swish", bf16=precision == "bf16")
        return [y, *torch.autograd.grad(y.square().sum(), tensors)]

    first = run()
    for _ in range(5):
        assert all(torch.equal(a, b) for a, b in zip(first, run(), strict=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rows", [1, 63, 256])
@pytest.mark.parametrize("kernels", ["stack"], indirect=True)  # torch's matmuls make no such promise
@pytest.mark.usefixtures("kernels")
def test_whole_stack_gives_the_same_bits_for_any_number_of_threads(precision, rows):
    before = torch.get_num_threads()

    def run(threads):
        torch.set_num_threads(threads)
        tensors = [t.requires_grad_() for t in operands(rows, 96, 20)]
        y = residual_trunk(*tensors, block_layers=4, activation="swish", bf16=precision == "bf16")
        return [y, *torch.autograd.grad(y.square().sum(), tensors)]

    try:
        one, *others = [run(threads) for threads in (1, 2, 3)]
    finally:
        torch.set_num_threads(before)
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_not_a_number_goes_through(kernels):
    x, *parameters = operands(5, 32, 4)
    x[2, 7] = float("nan")
    y = residual_trunk(x, *parameters, block_layers=4, activation="relu")
    assert y[2].isnan().all()
    assert y[[0, 1, 3, 4]].isfinite().all()


def test_operands_need_not_be_contiguous(kernels):
    x, weight, bias, scale, shift = operands(9, 32, 4)
    plain = residual_trunk(x, weight, bias, scale, shift, block_layers=4, activation="swish")
    strided = [t.repeat_interleave(2, -1)[..., ::2] for t in (x, weight, bias, scale, shift)]
    assert torch.equal(plain, residual_trunk(*strided, block_layers=4, activation="swish"))


def test_backward_twice_accumulates(kernels):
    tensors = [t.requires_grad_() for t in operands(9, 32, 4)]
    y = residual_trunk(*tensors, block_layers=4, activation="swish").sum()
    y.backward(retain_graph=True)
    once = [t.grad.clone() for t in tensors]
    y.backward()
    for t, grad in zip(tensors, once, strict=True):
        torch.testing.assert_close(t.grad, 2 * grad)


def test_eager_gradcheck_in_fp64():
    tensors = [t.double().requires_grad_() for t in operands(3, 16, 2)]
    torch.autograd.gradcheck(lambda *t: residual_trunk(*t, block_layers=2, activation="swish"), tensors)


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("keep", [0, 1, 2])
@pytest.mark.parametrize("segment", [4, 8])
def test_opcheck_forward(kernels, layer_norm, keep, segment):
    tensors = operands(5, 32, 8, layer_norm=layer_norm)
    differentiable = keep == 2
    if differentiable:
        tensors = [None if t is None else t.requires_grad_() for t in tensors]
    checks = ["test_schema", "test_faketensor"]
    checks += ["test_autograd_registration", "test_aot_dispatch_dynamic"] if differentiable else []
    torch.library.opcheck(
        torch.ops.deepcrl.trunk.default, (*tensors, 4, "swish", True, segment, keep), test_utils=checks
    )


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, True), (True, True, True)])
def test_opcheck_backward(kernels, wanted):
    x, *parameters = operands(5, 32, 8)
    _, inputs, dense, stats, stream, _ = torch.ops.deepcrl.trunk(x, *parameters, 4, "swish", False, 8, 2)
    torch.library.opcheck(
        torch.ops.deepcrl.trunk_backward.default,
        (torch.ones_like(x), x, *parameters, inputs, dense, stats, stream, 4, "swish", 8, *wanted),
        test_utils=["test_schema", "test_faketensor"],
    )


def test_refuses_operands_that_do_not_fit():
    x, weight, bias, scale, shift = operands(5, 32, 8)
    form = {"block_layers": 4, "activation": "swish"}
    with pytest.raises(ValueError, match=r"bias must be \[8, 32\].*got \[7, 32\]"):
        residual_trunk(x, weight, bias[:7], scale, shift, **form)
    with pytest.raises(ValueError, match=r"weight must be .*float32.*got .*float64"):
        residual_trunk(x, weight.double(), bias, scale, shift, **form)
    with pytest.raises(ValueError, match="scale and shift come together"):
        residual_trunk(x, weight, bias, scale, None, **form)
    with pytest.raises(ValueError, match="multiple of block_layers=3"):
        residual_trunk(x, weight, bias, scale, shift, block_layers=3, activation="swish")
    with pytest.raises(ValueError, match="Did you mean 'swish'"):
        residual_trunk(x, weight, bias, scale, shift, block_layers=4, activation="swich")
