"""The paper's network: sizes, initial values, equality with the plain version, precision, compilation, bad settings."""

from __future__ import annotations

import math

import pytest
import torch

from deepcrl.core.components import ENCODERS
from deepcrl.kernels.reference import PlainResidualMLP
from deepcrl.nets.residual_mlp import ResidualMLP


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(in_dim=10, out_dim=5, **settings):
    return ResidualMLP(in_dim, out_dim, generator(), **({"depth": 8, "width": 32} | settings))


def plain_copy(net):
    """Returns the same network as one module per layer, with the same weights."""
    depth, width = net.bias.shape
    plain = PlainResidualMLP(net.stem.in_features, net.head.out_features, depth=depth, width=width)
    plain.stem[0].load_state_dict(net.stem.state_dict())
    plain.stem[1].load_state_dict(net.stem_norm.state_dict())
    plain.head.load_state_dict(net.head.state_dict())
    layers = [module for block in plain.blocks for module in block.children()]
    for layer in range(depth):
        layers[3 * layer].load_state_dict({"weight": net.weight[layer], "bias": net.bias[layer]})
        layers[3 * layer + 1].load_state_dict({"weight": net.scale[layer], "bias": net.shift[layer]})
    return plain


def test_parameter_counts_are_the_papers():
    """Facts 1.3: Humanoid, width 256, depth 4, in millions (the actor's two heads are one here)."""
    for in_dim, out_dim, millions in ((268 + 3, 2 * 17, 0.344), (268 + 17, 64, 0.355), (3, 64, 0.283)):
        net = ResidualMLP(in_dim, out_dim, generator())
        assert round(sum(p.numel() for p in net.parameters()) / 1e6, 3) == millions


def test_parameter_tensors_do_not_grow_in_number_with_depth():
    assert len(list(make(depth=4).parameters())) == len(list(make(depth=64).parameters()))


def test_initial_values():
    net = make(in_dim=100, out_dim=64, width=256)
    for weight, fan_in in ((net.stem.weight, 100), (net.weight, 256), (net.head.weight, 256)):
        bound = 1 / math.sqrt(fan_in)
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.99 * bound
        assert abs(float(weight.detach().std()) - bound / math.sqrt(3)) < 0.02 * bound  # a uniform's standard deviation
        assert abs(float(weight.detach().mean())) < 0.02 * bound
    for bias in (net.stem.bias, net.bias, net.head.bias, net.shift, net.stem_norm.bias):
        assert not bias.any()
    for scale in (net.scale, net.stem_norm.weight):
        assert (scale == 1).all()
    assert net.stem_norm.eps == 1e-6


def test_generator_alone_decides_the_weights():
    torch.manual_seed(1)
    first = make()
    torch.manual_seed(2)
    second = make()
    other = ResidualMLP(10, 5, generator(1), depth=8, width=32)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.weight, other.weight)


def test_equals_the_plain_network():
    net = make()
    with torch.no_grad():
        for p in (net.bias, net.scale, net.shift):
            p.add_(0.3 * torch.randn(p.shape, generator=generator(3)))
    plain, x = plain_copy(net), torch.randn(6, 10, generator=generator(4))
    torch.testing.assert_close(net(x), plain(x), rtol=1e-4, atol=1e-5)
    net(x).square().sum().backward()
    plain(x).square().sum().backward()
    torch.testing.assert_close(
        net.weight.grad[7], list(plain.blocks[1].children())[9].weight.grad, rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(net.stem.weight.grad, plain.stem[0].weight.grad, rtol=1e-3, atol=1e-5)


def test_autocast_is_bf16_inside_and_float32_outside():
    net, x = make(), torch.randn(6, 10, generator=generator(4))
    exact = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = net(x)
    rounded.sum().backward()
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=0.05, atol=0.05)
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("settings", [{"activation": "relu"}, {"norm": "none"}, {"block_layers": 2}])
def test_ablations_run(settings):
    net = make(**settings)
    net(torch.randn(3, 10, generator=generator(4))).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_checkpointing_changes_nothing():
    x = torch.randn(6, 10, generator=generator(4))
    grads = []
    for blocks in (0, 1):
        net = make(checkpoint_blocks=blocks)
        net(x).square().sum().backward()
        grads.append([p.grad for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize(("name", "depth", "blocks"), [("none", 64, 0), ("sqrt", 64, 4), ("sqrt", 40, 4), (3, 64, 3)])
def test_checkpointing_by_name(name, depth, blocks):
    assert make(depth=depth, checkpoint_blocks=name).checkpoint_blocks == blocks


def test_zero_init_residual_starts_as_the_identity_and_learns():
    """The trunk passes on what the stem gives it; the next step moves the last layer of each block, then the others."""
    net, x = make(depth=64, zero_init_residual=True), torch.randn(6, 10, generator=generator(4))
    same_draws = make(depth=64)
    assert torch.equal(net.weight, same_draws.weight)
    torch.testing.assert_close(net(x), net.head(net._first(x)))
    for learns in ((net.scale[3::4], net.shift[3::4]), (net.weight, net.bias, net.scale)):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        before = [p.detach().clone() for p in learns]
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()
        for p, old in zip(learns, before, strict=True):
            assert (p != old).flatten(1).any(1).all()  # every layer of them


def test_block_norms_are_those_of_the_plain_blocks():
    net, x = make(depth=12, width=32), torch.randn(6, 10, generator=generator(4))
    plain = plain_copy(net)
    stream = plain.stem(x)
    rms, residual = [stream.square().mean().sqrt()], []
    for block in plain.blocks:
        added = block(stream)
        stream = stream + added
        rms.append(stream.square().mean().sqrt())
        residual.append(added.square().sum(dim=1).sqrt().mean())
    expected = {"stream_rms": torch.stack(rms), "residual_norm": torch.stack(residual)}
    torch.testing.assert_close(net.block_norms(x), expected)
    assert {k: v.shape for k, v in make(depth=4, norm="none").block_norms(x).items()} == {
        "stream_rms": (2,),
        "residual_norm": (1,),
    }


def test_block_gradient_norms():
    net, x = make(depth=8, width=32), torch.randn(6, 10, generator=generator(4))
    with pytest.raises(ValueError, match="call backward first"):
        net.block_gradient_norms()
    net(x).square().sum().backward()
    expected = [net.weight.grad[:4].square().sum().sqrt(), net.weight.grad[4:].square().sum().sqrt()]
    torch.testing.assert_close(net.block_gradient_norms(), torch.stack(expected))


@pytest.mark.parametrize("bf16", [False, True])
def test_1024_layers(bf16):
    net = ResidualMLP(39, 64, generator(), depth=1024, width=64)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        y = net(torch.randn(4, 39, generator=generator(4)))
    y.square().mean().backward()
    assert y.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


def test_compiles_as_one_graph():
    net, x = make(), torch.randn(6, 10, generator=generator(4))
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    expected = net(x)
    expected.sum().backward()
    grads = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    y = compiled(x)
    y.sum().backward()
    torch.testing.assert_close(y, expected)
    for p, grad in zip(net.parameters(), grads, strict=True):
        torch.testing.assert_close(p.grad, grad)


def test_builds_on_the_meta_device():
    with torch.device("meta"):
        net = ResidualMLP(10, 5, torch.Generator(), depth=8, width=32)
    assert all(p.is_meta for p in net.parameters())


def test_registered_with_its_settings():
    net = ENCODERS.build({"name": "residual_mlp", "depth": 12, "width": 48}, 10, 5, generator())
    assert net.weight.shape == (12, 48, 48)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 6}, r"encoder.depth is 6; .* multiple of block_layers=4, such as 4 or 8$"),
        ({"depth": 0}, r"encoder.depth is 0; .* such as 4$"),
        ({"depth": -8}, r"encoder.depth is -8; .* such as 4$"),
        ({"block_layers": 0}, r"encoder.block_layers must be at least 1, got 0"),
        ({"width": 100}, r"encoder.width is 100; .* multiple of 16, such as 96 or 112$"),
        ({"width": 0}, r"encoder.width is 0; .* such as 16$"),
        ({"norm": "rms_norm"}, r"Unknown norm of a residual trunk 'rms_norm'. .*Known: layer_norm, none$"),
        (
            {"activation": "swich"},
            r"Unknown activation of a residual trunk 'swich'. Did you mean 'swish'\? Known: relu, swish$",
        ),
        ({"checkpoint_blocks": -1}, r"encoder.checkpoint_blocks is -1; it must be 0 \(off\) or more"),
        ({"checkpoint_blocks": "sqr"}, r"Unknown encoder.checkpoint_blocks 'sqr'. Did you mean 'sqrt'\?"),
        ({"zero_init_residual": True, "norm": "none"}, r"zero_init_residual needs norm=layer_norm and .*=swish"),
        ({"zero_init_residual": True, "activation": "relu"}, r"zero_init_residual needs norm=layer_norm and .*=swish"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_network_shallower_than_a_block_is_one_block(depth: int) -> None:
    ours, explicit = (
        ResidualMLP(3, 2, torch.Generator().manual_seed(0), depth=depth, width=16, block_layers=layers)
        for layers in (4, depth)
    )
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    assert ours.block_layers == depth
    assert torch.equal(ours(x), explicit(x))
