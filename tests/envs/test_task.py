"""What tasks share."""

from __future__ import annotations

import torch

from deepcrl.envs.task import concat_float32


def test_parts_lie_concat_float32_in_new_float32_memory():
    whole = torch.randn(5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole[1, 2], whole[2, 3] = torch.nan, 1e300  # as in unstable simulations
    parts = (whole[:, 2:4], whole[:, 7:], whole[:, :1])
    joined = concat_float32(parts)
    assert joined.dtype == torch.float32
    expected = torch.cat(parts, dim=1).float()
    assert torch.equal(joined.nan_to_num(7), expected.nan_to_num(7))
    whole[:] = 0
    assert torch.equal(joined.nan_to_num(7), expected.nan_to_num(7))
    one = expected[:, :3].clone()
    assert concat_float32((one,)).data_ptr() != one.data_ptr()
