"""Signals ask a run to stop."""

from __future__ import annotations

import signal

import pytest

from deepcrl.train.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
