"""What holds for every registered encoder."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch

from deepcrl.core.components import ENCODERS


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, seed: int = 0, **settings: Any) -> Any:
    settings = {"name": name, "depth": 4, "width": 32} | settings
    return ENCODERS.build(settings, 10, 5, generator(seed))


INPUTS = torch.randn(6, 10, generator=generator(4))


@pytest.mark.parametrize("name", ENCODERS)
def test_maps_inputs_to_embeddings_that_differ(name: str) -> None:
    y = make(name)(INPUTS)
    assert y.shape == (6, 5)
    assert y.std(dim=0).min() > 0.01


@pytest.mark.parametrize("name", ENCODERS)
def test_generator_alone_decides_the_weights(name: str) -> None:
    torch.manual_seed(1)
    first = make(name)(INPUTS)
    torch.manual_seed(2)
    assert torch.equal(make(name)(INPUTS), first)
    assert not torch.equal(make(name, seed=1)(INPUTS), first)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("depth", [4, 64])
def test_the_gradient_reaches_every_layer_of_every_parameter(name: str, depth: int) -> None:
    """Away from the start: hyper-connections' `read` has no gradient there, where all streams are the same."""
    net = make(name, depth=depth)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1 + 0.2 * torch.randn(p.shape, generator=generator(5)))
    y = net(INPUTS)
    y.square().sum().backward()
    assert y.isfinite().all()
    for parameter_name, p in net.named_parameters():
        is_stack = "stem" not in parameter_name and "head" not in parameter_name and p.ndim > 1
        sizes = (p.grad.flatten(1) if is_stack else p.grad.flatten()[None]).norm(dim=1)
        assert sizes.isfinite().all(), parameter_name
        assert sizes.min() > 1e-6, parameter_name


@pytest.mark.parametrize("name", ENCODERS)
def test_autocast_rounds_inside_and_returns_float32(name: str) -> None:
    net = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = net(INPUTS)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, net(INPUTS))
    torch.testing.assert_close(rounded, net(INPUTS), rtol=0.05, atol=0.05)
    rounded.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("bf16", [False, True])
def test_64_layers_still_tell_inputs_apart(name: str, bf16: bool) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        y = make(name, depth=64)(INPUTS)
    assert y.isfinite().all()
    assert y.std(dim=0).mean() > 3e-3  # the plain MLP barely does


@pytest.mark.parametrize("name", ENCODERS)
def test_parameters_are_few_at_any_depth(name: str) -> None:
    """Each tensor is a launch of the optimiser's. The plain MLP has a layer of another shape, so no stack."""
    counts = [len(list(make(name, depth=depth).parameters())) for depth in (4, 64)]
    assert counts[0] == counts[1] or name == "mlp"


@pytest.mark.parametrize("name", ENCODERS)
def test_builds_without_memory(name: str) -> None:
    with torch.device("meta"):
        net = ENCODERS.build({"name": name, "depth": 1024, "width": 256}, 10, 5, torch.Generator())
    assert all(p.is_meta for p in net.parameters())


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("depth", 0, r"^encoder.depth (is 0; it must be a positive multiple of|must be at least 1, got 0)"),
        ("width", -1, r"^encoder.width (is -1; it must be a positive multiple of|must be at least 1, got -1)"),
        ("activation", "swich", r"^Unknown activation .*'swich'. Did you mean 'swish'\? Known: "),
    ],
)
def test_bad_settings_are_named(name: str, setting: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, **{setting: value})


@pytest.mark.parametrize("name", [name for name in ENCODERS if "norm" in ENCODERS.defaults(name)])
def test_norms_by_name(name: str) -> None:
    known = ["layer_norm", "none"] if name in ("residual_mlp", "recurrent") else ["layer_norm", "none", "rms_norm"]
    outputs = [make(name, norm=norm)(INPUTS) for norm in known]
    assert not any(torch.allclose(a, b) for a, b in combinations(outputs, 2))
    with pytest.raises(ValueError, match=rf"^Unknown norm .*'batch_norm'.*Known: {', '.join(known)}$"):
        make(name, norm="batch_norm")


@pytest.mark.parametrize("name", [name for name in ENCODERS if "init" in ENCODERS.defaults(name)])
def test_every_layer_starts_as_init_says_and_the_head_smaller(name: str) -> None:
    """One draw from [0, 1) for each weight: bounds differ, and nothing else."""
    before, after = dict(make(name).named_parameters()), dict(make(name, init="glorot").named_parameters())
    matrices = [key for key, p in before.items() if p.ndim > 1 and "norm" not in key]
    assert len(matrices) >= 4
    for key in matrices:
        fan_out, fan_in = before[key].shape[-2:]
        ratio = (6 / (fan_in + fan_out)) ** 0.5 * fan_in**0.5
        torch.testing.assert_close(after[key], ratio * before[key], rtol=1e-4, atol=1e-6)
    scaled = make(name, init="glorot", head_scale=0.1)
    torch.testing.assert_close(scaled(INPUTS), 0.1 * make(name, init="glorot")(INPUTS))
    assert make(name, head_scale=0.0)(INPUTS).eq(0).all()


def test_the_docs_name_every_encoder() -> None:
    table = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text()
    assert [name for name in ENCODERS if f"\n| `{name}` |" not in table] == []


@pytest.mark.parametrize("name", ENCODERS)
def test_which_encoders_see_how_long_an_input_is(name: str) -> None:
    """Docs/encoders.md: a norm right after the stem leaves an untrained network only the input's direction."""
    network = make(name)
    difference = (network(3 * INPUTS) - network(INPUTS)).norm() / network(INPUTS).norm()
    assert difference > 0.01 if name in ("simba", "hyperspherical") else difference < 1e-4
