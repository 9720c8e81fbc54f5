"""Without a GPU the kernels run in Triton's interpreter; with one, the same tests run on it.

The interpreter is chosen when a kernel is decorated, so it is set before anything imports the kernels. Only the tests
here import them; compilation (test_aot.py) runs in a process of its own, where the interpreter is off.
"""

from __future__ import annotations

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(autouse=True)
def poisoned():
    """Fills whatever torch.empty returns with NaN, so that reading it shows."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3, device=DEVICE).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)
