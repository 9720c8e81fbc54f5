import subprocess
import sys

import torch

from deepcrl.core.agents.common.adam import Adam


def trained(kind: type[torch.optim.Adam], steps: int, state: dict | None = None) -> tuple[list[torch.Tensor], dict]:
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((5, 3), (7,))]
    optimizer = kind(parameters, lr=0.1, fused=True)
    if state is not None:
        optimizer.load_state_dict(state)
    for _ in range(steps):
        optimizer.zero_grad()
        sum((p.square().sum() for p in parameters), torch.zeros(())).backward()
        optimizer.step()
    return [p.detach() for p in parameters], optimizer.state_dict()


def test_it_steps_as_pytorchs_does_and_takes_its_state() -> None:
    ours, state = trained(Adam, 3)
    theirs, other = trained(torch.optim.Adam, 3)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert state["param_groups"] == other["param_groups"]
    resumed, _ = trained(Adam, 2, other)
    again, _ = trained(torch.optim.Adam, 2, state)
    assert all(torch.equal(a, b) for a, b in zip(resumed, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(resumed, ours, strict=True))


def test_hooks_run_after_its_steps() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer, calls = Adam([parameter], lr=0.1, fused=True), []
    optimizer.register_step_post_hook(lambda *_: calls.append(parameter.requires_grad))
    parameter.sum().backward()
    optimizer.step()
    assert calls == [True]


def test_a_gradient_step_imports_no_compiler() -> None:
    program = """
import sys, torch
from deepcrl.core.agents.common.adam import Adam
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = Adam([parameter], lr=0.1, fused=True)
parameter.sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)
