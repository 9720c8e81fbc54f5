"""What holds for every registered agent, in whole runs from the first state to the last evaluation."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from deepcrl.core.agents.common.cuda_graph import CudaGraphAgent
from deepcrl.core.components import AGENTS, ENCODERS, ENERGIES, LOSSES, RELABELS
from deepcrl.training.build import build_run, env_spec
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import collect, fit
from deepcrl.training.run import Run
from deepcrl.training.sizing.table import preflight
from tests.core.agents.common.test_cuda_graph import Tape
from tests.training.test_resume import Snapshots, load, trained

TWO_UPDATES = {"total_env_steps": 40, "grad_steps_per_unroll": 2, "prefill_steps": 5, "num_eval_envs": 1}
SHORT = {"total_env_steps": 160, "num_eval_envs": 1, "eval_every": 80, "checkpoint_every": 40}


def parts_of(agent: str, **hyperparameters: Any) -> dict[str, Any]:
    small = {"embedding_dim": 16, "radius": 0.01}  # the steps of a point mass that just starts are small as well
    small = {name: value for name, value in small.items() if name in AGENTS.defaults(agent)}
    return {"agent": AGENTS.defaults(agent) | small | hyperparameters}


def filled(config: Any) -> Run:
    """A run whose ring holds something to learn from."""
    run = build_run(config)
    for _ in range(2):
        collect(run, Interrupt())
    return run


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_two_updates_move_every_network(tiny, name: str) -> None:
    run, memory = build_run(tiny(**parts_of(name), **TWO_UPDATES)), Snapshots()
    before = copy.deepcopy(dict(run.agent.networks))
    fit(run, memory, Interrupt())
    assert run.progress.grad_steps == 2
    assert all(torch.tensor(list(row.values())).isfinite().all() for row in memory.rows)
    for network, old in before.items():
        for (parameter, p), q in zip(old.named_parameters(), run.agent.networks[network].parameters(), strict=True):
            assert not torch.equal(p, q), (network, parameter)


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
@pytest.mark.parametrize("name", sorted(AGENTS))
def test_any_encoder_serves(tiny, name: str, encoder: str) -> None:
    run = filled(tiny(**parts_of(name), encoder=ENCODERS.defaults(encoder) | {"width": 16}))
    metrics = run.agent.update(run.buffer.sample(16))
    assert all(value.isfinite() for value in metrics.values())


@pytest.mark.parametrize("relabel", sorted(RELABELS))
@pytest.mark.parametrize("name", sorted(AGENTS))
def test_any_relabelling_serves(tiny, name: str, relabel: str) -> None:
    run = filled(tiny(**parts_of(name), relabel=RELABELS.defaults(relabel)))
    assert all(value.isfinite() for value in run.agent.update(run.buffer.sample(16)).values())


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_every_checkpoint_goes_on_bit_by_bit(tiny, same, name: str) -> None:
    config = tiny(**parts_of(name), **SHORT)
    straight = trained(config)
    for (env_steps, grad_steps), state in list(straight.states.items())[-2:]:
        run, memory = build_run(config), Snapshots()
        run.load_state_dict(load(state))
        fit(run, memory, Interrupt())
        rows = [row for row in straight.rows if row["grad_steps"] <= grad_steps and row["env_steps"] <= env_steps]
        same(rows + memory.rows, straight.rows)
        same(load(memory.states[max(straight.states)]), load(straight.states[max(straight.states)]))


class NeverWaits(TorchDispatchMode):
    """Refuses what makes the host wait for the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        aten = torch.ops.aten
        assert func.overloadpacket not in (aten._local_scalar_dense, aten.nonzero, aten.masked_select), func
        if func.overloadpacket is aten.index:  # by a mask it asks how many there are
            assert not any(index is not None and index.dtype == torch.bool for index in args[1]), func
        return func(*args, **(kwargs or {}))


def test_the_test_sees_what_waits() -> None:
    for wait in (lambda x: float(x.sum()), lambda x: x[x > 0], lambda x: bool((x > 0).any()), torch.nonzero):
        with NeverWaits(), pytest.raises(AssertionError):
            wait(torch.ones(3))


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_updates_never_wait_and_always_name_the_same_metrics(tiny, name: str) -> None:
    run = filled(tiny(**parts_of(name)))
    names = []
    for _ in range(4):
        batch = run.buffer.sample(16)
        with NeverWaits():
            metrics = run.agent.update(batch)
        names.append(list(metrics))
        assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    assert names == [names[0]] * 4


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_replayed_updates_are_its_own(tiny, same, name: str) -> None:
    every_step_alike = {"policy_delay": 1} if name == "td3" else {}
    run, other = (filled(tiny(**parts_of(name, **every_step_alike))) for _ in range(2))
    agent: Any = other.agent
    replayed = CudaGraphAgent(agent, Tape(agent))
    for _ in range(5):
        batch = run.buffer.sample(16)
        same(replayed.update(batch), run.agent.update(batch))
    same(replayed.state_dict()["networks"], run.agent.state_dict()["networks"])


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_a_nan_in_any_network_shows_in_the_metrics(tiny, name: str) -> None:
    run = filled(tiny(**parts_of(name)))
    before = copy.deepcopy(run.agent.state_dict())
    for net in run.agent.networks.values():
        run.agent.load_state_dict(copy.deepcopy(before))
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.fill_(torch.nan)
        metrics = {}
        for _ in range(2):
            metrics = run.agent.update(run.buffer.sample(16))
        assert not all(value.isfinite() for value in metrics.values())


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_is_sized_up_without_a_warning(tiny, name: str) -> None:
    config = tiny(**parts_of(name), energy=ENERGIES.defaults("iqe"), loss=LOSSES.defaults("infonce_temperature"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sizes = preflight(config, env_spec(config), torch.device("cpu"))
    assert sizes.parameters.keys() == build_run(config).agent.networks.keys()


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_bf16_changes_the_numbers_a_little(tiny, name: str) -> None:
    full, half = (filled(tiny(**parts_of(name), precision=precision)) for precision in ("fp32", "bf16"))
    half.buffer.load_state_dict(full.buffer.state_dict())
    a, b = (run.agent.update(run.buffer.sample(16))["actor/loss"] for run in (full, half))
    assert a != b
    torch.testing.assert_close(a, b, rtol=0.2, atol=0.2)


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_acts_within_bounds(tiny, name: str) -> None:
    run = build_run(tiny(**parts_of(name)))
    assert run.envs is not None
    assert run.observation is not None
    for explore in (True, False):
        action = run.agent.act(run.observation, explore=explore)
        assert action.shape == (4, run.envs.spec.action_dim)
        assert action.abs().max() <= 1


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_its_networks_are_modules_with_parameters(tiny, name: str) -> None:
    networks = build_run(tiny(**parts_of(name))).agent.networks
    assert "actor" in networks
    assert all(isinstance(net, nn.Module) and list(net.parameters()) for net in networks.values())


@pytest.mark.parametrize("name", ["crl", "crl_td", "qrl"])
def test_an_energy_that_cannot_take_the_embedding_is_refused_before_the_run(tiny, name: str) -> None:
    config = tiny(**parts_of(name, embedding_dim=12), energy={"name": "iqe"})
    with pytest.raises(ValueError, match=r"^energy.component_dim=8 does not divide agent.embedding_dim=12$"):
        preflight(config, env_spec(config), torch.device("cpu"))
