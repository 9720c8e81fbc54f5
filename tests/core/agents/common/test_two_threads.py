"""Two parts of an update at the same time: the same results, errors as in turn, and only where it is faster."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
import torch

from deepcrl.core.agents.common.two_threads import TwoThreads, divide_cores
from deepcrl.core.agents.crl import CRL
from deepcrl.core.agents.gcbc import GCBC
from deepcrl.core.types import Agent
from tests.core.agents.pieces import make_inputs

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def started() -> TwoThreads:
    two_threads = TwoThreads()
    two_threads.start()
    return two_threads


@pytest.mark.parametrize("two_threads", [TwoThreads(), started()], ids=["in turn", "at the same time"])
def test_returns_both_results(two_threads):
    assert two_threads.run(lambda: 1, lambda: "2") == (1, "2")


def test_in_turn_is_one_thread():
    order = []
    TwoThreads().run(lambda: order.append(threading.get_ident()), lambda: order.append(threading.get_ident()))
    assert order == [threading.get_ident()] * 2


def test_once_started_they_run_at_the_same_time():
    both_there = threading.Barrier(2, timeout=60)
    started().run(both_there.wait, both_there.wait)  # in turn, the first would wait for ever


@pytest.mark.parametrize("two_threads", [TwoThreads(), started()], ids=["in turn", "at the same time"])
@pytest.mark.parametrize("culprit", ["first", "second"])
def test_raises_what_a_part_raises(two_threads, culprit):
    def fails():
        raise ArithmeticError(culprit)

    first, second = (fails, lambda: 2) if culprit == "first" else (lambda: 1, fails)
    with pytest.raises(ArithmeticError, match=culprit):
        two_threads.run(first, second)


def test_waits_for_the_first_part_when_the_second_fails():
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
    agents = [CRL(make_inputs()), CRL(make_inputs())]
    divide_cores(agents, CPU)
    assert all(agent.two_threads.started for agent in agents)
    assert torch.get_num_threads() == 1


def nothing_is_divided(agent: CRL, others: Sequence[Agent] = (), device: torch.device = CPU) -> bool:
    before = torch.get_num_threads()
    divide_cores([agent, *others], device)
    return not agent.two_threads.started and torch.get_num_threads() == before


def test_an_agent_without_two_threads_needs_all_cores():
    assert nothing_is_divided(CRL(make_inputs()), [GCBC(make_inputs())])


def test_large_networks_need_all_cores(monkeypatch):
    agent = CRL(make_inputs())
    num_parameters = sum(p.numel() for net in agent.networks.values() for p in net.parameters())
    monkeypatch.setattr("deepcrl.core.agents.common.two_threads.MAX_PARAMETERS", num_parameters - 1)
    assert nothing_is_divided(agent)
    monkeypatch.setattr("deepcrl.core.agents.common.two_threads.MAX_PARAMETERS", num_parameters)
    assert not nothing_is_divided(agent)


def test_one_thread_cannot_be_divided():
    torch.set_num_threads(1)
    assert nothing_is_divided(CRL(make_inputs()))


def test_a_gpu_is_not_divided():
    assert nothing_is_divided(CRL(make_inputs()), device=torch.device("cuda"))
