"""Halves of an update at the same time: the same results, errors as in turn, and only where it is faster."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
import torch

from deepcrl.core.agents.common.two_threads import Halves, divide_cores
from deepcrl.core.agents.crl import CRL
from deepcrl.core.agents.gcbc import GCBC
from deepcrl.core.types import Agent
from tests.core.agents.pieces import make_parts

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def started() -> Halves:
    halves = Halves()
    halves.start()
    return halves


@pytest.mark.parametrize("halves", [Halves(), started()], ids=["in turn", "side by side"])
def test_returns_both_results(halves):
    assert halves.run(lambda: 1, lambda: "2") == (1, "2")


def test_in_turn_is_one_thread():
    order = []
    Halves().run(lambda: order.append(threading.get_ident()), lambda: order.append(threading.get_ident()))
    assert order == [threading.get_ident()] * 2


def test_side_by_side_is_at_the_same_time():
    both_there = threading.Barrier(2, timeout=60)
    started().run(both_there.wait, both_there.wait)  # in turn, the first would wait for ever


@pytest.mark.parametrize("halves", [Halves(), started()], ids=["in turn", "side by side"])
@pytest.mark.parametrize("culprit", ["first", "second"])
def test_raises_what_a_half_raises(halves, culprit):
    def fails():
        raise ArithmeticError(culprit)

    first, second = (fails, lambda: 2) if culprit == "first" else (lambda: 1, fails)
    with pytest.raises(ArithmeticError, match=culprit):
        halves.run(first, second)


def test_waits_for_the_first_half_when_the_second_fails():
    finished, may_finish = [], threading.Event()

    def first():
        may_finish.wait(60)
        finished.append(True)

    def second():
        threading.Timer(0.05, may_finish.set).start()
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        started().run(first, second)
    assert finished == [True]


def test_small_agents_divide_the_cores():
    agents = [CRL(make_parts()), CRL(make_parts())]
    divide_cores(agents, CPU)
    assert all(agent.halves.side_by_side for agent in agents)
    assert torch.get_num_threads() == 1


def nothing_is_divided(agent: CRL, others: Sequence[Agent] = (), device: torch.device = CPU) -> bool:
    before = torch.get_num_threads()
    divide_cores([agent, *others], device)
    return not agent.halves.side_by_side and torch.get_num_threads() == before


def test_an_agent_without_halves_needs_all_cores():
    assert nothing_is_divided(CRL(make_parts()), [GCBC(make_parts())])


def test_large_networks_need_all_cores(monkeypatch):
    agent = CRL(make_parts())
    num_parameters = sum(p.numel() for net in agent.networks.values() for p in net.parameters())
    monkeypatch.setattr("deepcrl.core.agents.common.two_threads.MAX_PARAMETERS", num_parameters - 1)
    assert nothing_is_divided(agent)
    monkeypatch.setattr("deepcrl.core.agents.common.two_threads.MAX_PARAMETERS", num_parameters)
    assert not nothing_is_divided(agent)


def test_one_thread_cannot_be_divided():
    torch.set_num_threads(1)
    assert nothing_is_divided(CRL(make_parts()))


def test_a_gpu_is_not_divided():
    assert nothing_is_divided(CRL(make_parts()), device=torch.device("cuda"))
