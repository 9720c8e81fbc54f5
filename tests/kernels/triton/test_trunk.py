"""Both rungs of the trunk against the fp64 reference: values and every gradient, any number of rows, any width."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from deepcrl.kernels import dispatch, reference
from deepcrl.kernels.backend import Gradients, Saved, Trunk, Wanted
from deepcrl.kernels.triton import trunk as kernels
from deepcrl.kernels.trunk import residual_trunk
from deepcrl.training.sizing.dry_run import CountBytes
from tests.kernels.conftest import operands, relative_error
from tests.kernels.triton.conftest import DEVICE

# Norm of the error over norm of the truth; as for the other backends, in tests/kernels/test_trunk.py.
TOLERANCE = {"fp32": 5e-6, "bf16": 3e-2}
RUNGS = list(kernels.RUNGS)


@pytest.fixture(params=RUNGS)
def rung(request, monkeypatch):
    """Puts one rung behind the operator `deepcrl::trunk`."""
    install(monkeypatch, request.param)
    return request.param


def install(monkeypatch: pytest.MonkeyPatch, rung: str) -> None:
    def forward(*args: Any) -> Any:
        return kernels.forward(*args, rung=rung)

    def backward(*args: Any) -> Any:
        return kernels.backward(*args, rung=rung)

    backend = SimpleNamespace(prepare=kernels.prepare, forward=forward, backward=backward)
    monkeypatch.setattr("deepcrl.kernels.trunk.backend", lambda x, *, bf16=False: backend)


def compare(tensors, *, precision="fp32", block_layers=4, activation="swish", checkpoint_blocks=0):
    """Checks output and all gradients, for a random grad_output, against fp64."""
    form = {"block_layers": block_layers, "activation": activation}
    mine: list[Any] = [None if t is None else t.to(DEVICE).requires_grad_() for t in tensors]
    truth: list[Any] = [None if t is None else t.to(DEVICE).detach().double().requires_grad_() for t in tensors]
    y = residual_trunk(*mine, **form, bf16=precision == "bf16", checkpoint_blocks=checkpoint_blocks)
    expected = reference.residual_trunk(*truth, **form)
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    got = [y, *torch.autograd.grad(y, [t for t in mine if t is not None], grad)]
    want = [expected, *torch.autograd.grad(expected, [t for t in truth if t is not None], grad.double())]
    for name, value, target in zip(["y", "x", "weight", "bias", "scale", "shift"], got, want, strict=False):
        assert value.dtype == torch.float32, name
        assert relative_error(value, target) < TOLERANCE[precision], name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rows", [1, 2, 17, 65])
def test_equals_reference(rung, precision, rows):
    compare(operands(rows, 32, 4), precision=precision, block_layers=2)


@pytest.mark.parametrize(
    ("precision", "width"), [("bf16", 16), ("fp32", 48), ("bf16", 128), ("fp32", 256), ("bf16", 256), ("bf16", 512)]
)
def test_any_width(rung, precision, width):
    compare(operands(3, width, 4), precision=precision)


@pytest.mark.parametrize("activation", ["swish", "relu"])
@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("block_layers", [1, 2])
def test_ablations(rung, activation, layer_norm, block_layers):
    compare(operands(17, 16, 4, layer_norm=layer_norm), activation=activation, block_layers=block_layers)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("wanted", [Wanted(True, True, True), Wanted(True, False, False), Wanted(False, False, True)])
def test_scratch_bytes_are_what_a_backward_pass_allocates(rung, precision, wanted):
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with CountBytes() as count:
        x, weight, bias, scale, shift = (t.to(DEVICE, copy=True) for t in operands(65, 64, 8))
        trunk = Trunk(weight.to(dtype, copy=True), bias, scale, shift, 4, "swish", dtype)
        kept, dense = (x.new_empty(8, *x.shape, dtype=dtype) for _ in range(2))
        saved = Saved(kept, dense, x.new_empty(8, 2, len(x)))
        grad, into = torch.ones_like(x), Gradients(torch.empty_like(weight), x.new_empty(8, 3, 64))
        before = count.peak = count.live
        kernels.backward(grad, trunk, saved, wanted, into, rung=rung)
    predicted = kernels.backward_scratch_bytes(grad, trunk, wanted, rung=rung)
    allocated = count.peak - before - grad.nbytes  # without the gradient that it returns
    assert abs(predicted - allocated) <= 2 * grad.nbytes


def test_rows_beyond_the_register_tile(monkeypatch):
    install(monkeypatch, "norm")
    compare(operands(3, 1024, 2), block_layers=2)


def test_larger_tile_of_rows(monkeypatch):
    """Beyond 2048 rows a program takes more than 16; here the rule is told so for a few."""
    monkeypatch.setattr("deepcrl.kernels.triton.tiles._FEW_ROWS", 0)
    install(monkeypatch, "stack")
    compare(operands(65, 64, 4), precision="bf16")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_checkpointing_changes_no_bit(rung, precision):
    tensors = [t.to(DEVICE).requires_grad_() for t in operands(7, 32, 8)]

    def run(checkpoint_blocks):
        form = {"block_layers": 2, "activation": "swish", "bf16": precision == "bf16"}
        y = residual_trunk(*tensors, **form, checkpoint_blocks=checkpoint_blocks)
        return [y, *torch.autograd.grad(y.square().sum(), tensors)]

    for plain, checkpointed in zip(run(0), run(3), strict=True):
        assert torch.equal(plain, checkpointed)


def test_same_bits_every_time(rung):
    def run():
        tensors = [t.to(DEVICE).requires_grad_() for t in operands(65, 32, 4)]
        y = residual_trunk(*tensors, block_layers=4, activation="swish", bf16=True)
        return [y, *torch.autograd.grad(y.square().sum(), tensors)]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
def test_computes_the_wanted_gradients_alone(rung, wanted):
    def run(flags):
        x, *parameters = (t.to(DEVICE) for t in operands(9, 32, 4))
        want_x, want_weight, want_vectors = flags
        wants = [want_x, want_weight, *[want_vectors] * 3]
        tensors = [t.requires_grad_(want) for t, want in zip([x, *parameters], wants, strict=True)]
        residual_trunk(*tensors, block_layers=2, activation="swish").square().sum().backward()
        return [t.grad for t in tensors]

    for some, all_of_them in zip(run(wanted), run((True, True, True)), strict=True):
        assert some is None or torch.equal(some, all_of_them)


def test_keeps_nothing_and_writes_nothing_beyond_its_rows(rung):
    """The rows before and after those of the operands stay as they were, also where a tile is cut."""
    width, rows, depth = 48, 17, 4
    x, weight, bias, scale, shift = (t.to(DEVICE) for t in operands(rows, width, depth))
    trunk = Trunk(weight, bias, scale, shift, 4, "swish", torch.float32)

    def guarded(*shape):
        size = torch.Size(shape).numel()
        room = torch.full((size + 512,), 7.0, device=DEVICE)
        return room, room[256:-256].view(shape)

    rooms, views = zip(*(guarded(*shape) for shape in [(depth, rows, width)] * 2 + [(depth, 2, rows)]), strict=True)
    saved = Saved(*views)
    kernels.forward(x, trunk, saved, rung=rung)
    (weight_room, grad_weight), (vector_room, vectors) = guarded(depth, width, width), guarded(depth, 3, width)
    wanted = Wanted(True, True, True)
    kernels.backward(torch.ones_like(x), trunk, saved, wanted, Gradients(grad_weight, vectors), rung=rung)
    for room in (*rooms, weight_room, vector_room):
        assert (room[:256] == 7).all()
        assert (room[-256:] == 7).all()
        assert room.isfinite().all()
    none = Saved(x.new_empty(0, rows, width), x.new_empty(0, rows, width), x.new_empty(0, 2, rows))
    assert torch.equal(kernels.forward(x, trunk, none, rung=rung), kernels.forward(x, trunk, saved, rung=rung))


def test_a_nan_shows(rung):
    x, weight, bias, scale, shift = (t.to(DEVICE) for t in operands(3, 16, 2))
    x[1, 5] = torch.nan
    for activation in ("swish", "relu"):
        y = residual_trunk(x, weight, bias, scale, shift, block_layers=2, activation=activation)
        assert y[1].isnan().all()
        assert y[[0, 2]].isfinite().all()


def test_operands_need_not_be_contiguous(rung):
    tensors = [t.to(DEVICE) for t in operands(9, 32, 4)]
    plain = residual_trunk(*tensors, block_layers=4, activation="swish")
    strided = [t.repeat_interleave(2, -1)[..., ::2] for t in tensors]
    assert torch.equal(plain, residual_trunk(*strided, block_layers=4, activation="swish"))


def test_no_rows(rung):
    tensors = [t.to(DEVICE).requires_grad_() for t in operands(1, 16, 2)]
    y = residual_trunk(tensors[0][:0], *tensors[1:], block_layers=2, activation="swish")
    y.sum().backward()
    assert y.shape == (0, 16)
    assert all(t.grad is not None and not t.grad.any() for t in tensors[1:])


def test_opcheck(rung):
    torch.use_deterministic_algorithms(False)
    tensors = [t.to(DEVICE).requires_grad_() for t in operands(5, 16, 4)]
    torch.library.opcheck(torch.ops.deepcrl.trunk.default, (*tensors, 2, "swish", True, 4, 2))
    x, *parameters = (t.detach() for t in tensors)
    _, inputs, dense, stats, stream, _ = torch.ops.deepcrl.trunk(x, *parameters, 2, "swish", True, 4, 2)
    torch.library.opcheck(
        torch.ops.deepcrl.trunk_backward.default,
        (torch.ones_like(x), x, *parameters, inputs, dense, stats, stream, 2, "swish", 4, True, True, True),
        test_utils=["test_schema", "test_faketensor"],
    )


def test_refuses_what_it_cannot_run():
    assert kernels.unsupported(torch.zeros(2, 32, device=DEVICE)) is None
    assert "torch.float64" in str(kernels.unsupported(torch.zeros(2, 32, device=DEVICE).double()))
    assert "multiple of 16" in str(kernels.unsupported(torch.zeros(2, 40, device=DEVICE)))
    assert "needs a GPU" in str(kernels.unsupported(torch.zeros(2, 32, device="meta")))
    with pytest.raises(ValueError, match="Did you mean 'stack'"):
        kernels.choose_rung(32, "stak")
    with pytest.raises(ValueError, match="width 1024 is above 512"):
        kernels.choose_rung(1024, "stack")


def test_dispatch_is_left_as_it_was():
    assert dispatch.backend(torch.zeros(2, 16, dtype=torch.float64)) is not kernels
