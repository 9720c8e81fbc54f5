"""Without a GPU the kernels run in Triton's interpreter; with one, the same tests run on it.

The interpreter is chosen when a kernel is decorated and asked for again when it runs, so it is on while the kernels are
imported here and during each test of this folder, and off for all others. test_aot.py compiles in its own process.
"""

from __future__ import annotations

import os
from unittest import mock

import pytest
import torch

INTERPRET = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

with mock.patch.dict(os.environ, INTERPRET):
    from deepcrl.kernels.triton import infonce, trunk  # noqa: F401


@pytest.fixture(autouse=True)
def interpreted():
    """Turns the interpreter on where there is no GPU."""
    with mock.patch.dict(os.environ, INTERPRET):
        yield


@pytest.fixture(autouse=True)
def poisoned():
    """Fills whatever torch.empty returns with NaN, so that reading it shows."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3, device=DEVICE).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)
