"""Signals ask a run to stop."""

from __future__ import annotations

import signal

import pytest

from deepcrl.training.interrupt import Interrupt


@pytest.mark.parametrize("number", Interrupt.SIGNALS)
def test_a_signal_asks(number: signal.Signals) -> None:
    with Interrupt() as interrupt:
        assert not interrupt.requested
        signal.raise_signal(number)
        assert interrupt.requested
        assert interrupt.signal_number == number


def test_the_second_ctrl_c_does_not_ask() -> None:
    with Interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_after_sigterm_does_not_ask() -> None:
    with Interrupt():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_repeated_sigterm_still_asks() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.signal_number == signal.SIGTERM


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in Interrupt.SIGNALS]
    with Interrupt():
        assert [signal.getsignal(number) for number in Interrupt.SIGNALS] != before
    assert [signal.getsignal(number) for number in Interrupt.SIGNALS] == before


def test_five_times_ctrl_c_raise_once() -> None:
    with Interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)  # on the way out, too
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("ignored", [True, False])
def test_nohup_stays_in_force(ignored: bool) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGHUP)
        assert interrupt.requested != ignored


def test_the_launcher_gets_its_own_signal_afterwards() -> None:
    got: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, frame: got.append(number))
    with Interrupt() as interrupt:
        interrupt.hand_on()
        signal.raise_signal(signal.SIGUSR2)
        assert got == []
    interrupt.hand_on()
    assert got == [signal.SIGUSR2]


def test_python_s_own_answer_to_ctrl_c_is_not_given_afterwards() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
    interrupt.hand_on()


def test_inside_itself_it_stays_in_force() -> None:
    with Interrupt() as interrupt:
        with interrupt:
            pass
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.signal_number == signal.SIGTERM


@pytest.mark.parametrize("number", Interrupt.SIGNALS)
def test_breaking_off_at_the_first_signal_and_not_at_further_ones(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        with pytest.raises(KeyboardInterrupt), interrupt.breaking_off():
            signal.raise_signal(number)
        assert interrupt.signal_number == number
        for further in Interrupt.SIGNALS:
            signal.raise_signal(further)
    assert signal.getsignal(number) == before


def test_after_breaking_off_signals_ask_again() -> None:
    with Interrupt() as interrupt:
        with interrupt.breaking_off():
            pass
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.signal_number == signal.SIGTERM
