"""Products of bf16 are those of the rounded numbers, with instructions for them or without."""

from __future__ import annotations

import pytest
import torch

from deepcrl.kernels import products


@pytest.fixture(params=["with instructions for bf16", "without"])
def processor(request, monkeypatch):
    flags = frozenset({"avx512_bf16"} if request.param.startswith("with ") else ())
    monkeypatch.setattr(products, "_cpu_flags", lambda: flags)


def matrix(*shape, dtype):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("given", [True, False])
def test_mm(processor, dtype, given):
    a, b = matrix(17, 48, dtype=dtype), matrix(48, 32, dtype=dtype)
    out = torch.empty(17, 32, dtype=dtype) if given else None
    result = products.mm(a, b.T.contiguous().T, out=out)
    assert result.dtype == dtype
    assert out is None or result is out
    torch.testing.assert_close(result.double(), (a.double() @ b.double()).to(dtype).double(), rtol=8e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weight_gradients(processor, dtype):
    dz, inputs = matrix(3, 33, 16, dtype=dtype), matrix(3, 33, 48, dtype=dtype)
    out = torch.full((3, 16, 48), torch.nan)
    products.weight_gradients(dz, inputs, out)
    expected = torch.einsum("lbn,lbk->lnk", dz.double(), inputs.double())
    torch.testing.assert_close(out.double(), expected, rtol=8e-3, atol=1e-4)


def test_without_instructions_none_of_pytorch_s_products_is_of_bf16(monkeypatch):
    seen = []
    mm = torch.mm
    monkeypatch.setattr(products, "_cpu_flags", frozenset)
    monkeypatch.setattr(torch, "mm", lambda a, b, **out: seen.append(a.dtype) or mm(a, b, **out))
    a = matrix(4, 16, dtype=torch.bfloat16)
    products.mm(a, a.T)
    products.weight_gradients(a[None], a[None], torch.empty(1, 16, 16))
    assert seen == [torch.float32] * 2
