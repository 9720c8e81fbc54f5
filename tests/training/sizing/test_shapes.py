"""Tensors without data have the shapes of those that have some, and PyTorch's compiler stays where it is."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from deepcrl.training.sizing.shapes import ShapesOnly, ShapeTensor


def test_a_network_and_its_gradients_have_their_shapes():
    with ShapesOnly():
        net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.SiLU(), nn.Linear(4, 2))
        y = net(torch.randn(5, 3))
        y.square().mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    assert (y.shape, y.dtype, y.device.type) == ((5, 2), torch.float32, "cpu")
    for parameter in net.parameters():
        assert isinstance(parameter, ShapeTensor)
        assert isinstance(parameter.grad, ShapeTensor)
        assert parameter.grad.shape == parameter.shape


def test_what_is_changed_in_place_stays_the_same_tensor():
    with ShapesOnly():
        x = torch.zeros(3)
        view = x[:2]
        assert x.add_(1) is x
        assert isinstance(x, ShapeTensor)
        assert isinstance(view, ShapeTensor)
        assert view.meta.untyped_storage().data_ptr() == x.meta.untyped_storage().data_ptr()


def test_autocast_takes_them_for_tensors_of_the_cpu():
    with ShapesOnly(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert nn.Linear(3, 4)(torch.zeros(2, 3)).dtype == torch.bfloat16


def test_constants_are_real_and_mix_with_the_others():
    with ShapesOnly():
        two = torch.tensor(2.0)
        assert (two * two).item() == 4
        assert (torch.ones(3) * two).shape == (3,)


def test_there_are_no_values_to_look_at():
    with ShapesOnly():
        ones = torch.ones(3)
        with pytest.raises(RuntimeError, match="meta tensors"):
            ones.sum().item()
        with pytest.raises(RuntimeError, match="changes the shape of a tensor in place"):
            ones.unsqueeze_(0)


IMPORTS_NO_COMPILER = """
import sys
from deepcrl.cli.hydra.compose import compose_values
from deepcrl.core.components import discover
from deepcrl.training.build import env_spec
from deepcrl.training.sizing.dry_run import peak_bytes
from deepcrl.training.validate import validated

discover()
config = validated(compose_values(sys.argv[1:]))
assert peak_bytes(config, env_spec(config)) > 0
late = {"torch._dynamo", "sympy", "torch.fx.experimental.symbolic_shapes"} & set(sys.modules)
assert not late, late
import torch
assert torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(2)).tolist() == [1, 1]
"""


@pytest.mark.parametrize("settings", [["env=point_u_maze"], ["env=point_u_maze", "encoder=bro", "precision=bf16"]])
def test_counting_does_not_import_the_compiler_and_does_not_break_it(settings):
    program = [sys.executable, "-c", IMPORTS_NO_COMPILER, *settings, "encoder.width=16"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
