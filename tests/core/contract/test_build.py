"""What a user's own component must bring, said when it is built; ours pass as they are."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from deepcrl.core.components import AGENTS, LOSSES
from deepcrl.core.contract.build import checked_build, needs_futures, needs_transitions, origin
from deepcrl.core.contract.first_call import CheckedFunction, ContractError
from deepcrl.core.losses.infonce import infonce
from deepcrl.core.registry import Registry
from deepcrl.core.types import Futures


def registered(kind: str, obj: Any) -> Registry:
    registry = Registry(kind)
    registry.register("mine")(obj)
    return registry


class NoMethods:
    pass


class Energy:
    def paired(self, sa):
        return sa

    def pairwise(self, sa, g):
        return sa @ g.T


class Agent:
    def __init__(self, inputs):
        self.networks = {}


class TakesNothing:
    pass


def two(logits, labels):
    return logits.mean() * labels


BAD = [
    ("energy", NoMethods, (), "has no method `paired(sa, g)`"),
    ("energy", Energy, (), ": paired takes (sa); it is called with (sa, g)"),
    ("energy", two, (), "has no method `paired(sa, g)`"),
    ("loss", two, (), "takes (logits, labels); it is called with (logits)"),
    ("relabel", lambda steps_left: steps_left, (), "takes (steps_left); it is called with (steps_left, generator)"),
    ("encoder", TakesNothing, (4, 2, None), "takes (); it is called with (in_dim, out_dim, generator)"),
    ("encoder", lambda a, b, c: None, (4, 2, None), "builds a partial, not an nn.Module"),
    ("agent", Agent, (None,), "has no attribute `needs_transitions` (agent in deepcrl.core.types)"),
    ("logger", Agent, (None,), "has no method `log(row)`"),
    ("buffer", Agent, (None,), "has no attribute `offline` (buffer in deepcrl.core.types)"),
]


@pytest.mark.parametrize(("kind", "obj", "args", "message"), BAD)
def test_what_is_missing_is_named(kind: str, obj: Any, args: tuple, message: str) -> None:
    with pytest.raises(ContractError) as raised:
        checked_build(registered(kind, obj), {"name": "mine"}, *args)
    assert re.sub(r" ?(in) \S+test_build.py ?", r" \1 FILE ", str(raised.value)).replace("FILE :", "FILE:") in (
        f"{kind} 'mine' in FILE {message}",
        f"{kind} 'mine' in FILE{message}",
    )


def test_an_agents_class_says_what_it_stores() -> None:
    with pytest.raises(ContractError, match="has no class attribute `needs_transitions`: True or False"):
        needs_transitions(registered("agent", Agent), "mine")
    assert [needs_transitions(AGENTS, name) for name in ("crl", "td3")] == [False, True]


def test_what_batches_must_hold_is_the_most_that_any_agent_needs() -> None:
    answers: Any = [None, Futures(chunk=3), Futures(falls=True, window=7), True]

    class Asking:
        def __init__(self, inputs: Any, *, answer: int = 0) -> None: ...

        @staticmethod
        def needs_futures(settings: dict[str, Any]) -> Any:
            return answers[settings["answer"]]

    registry = registered("agent", Asking)

    def needs(*numbers: int) -> Futures | None:
        return needs_futures(registry, [{"name": "mine", "answer": number} for number in numbers])

    assert needs(0, 0) is None
    assert needs(1, 0, 2) == Futures(falls=True, chunk=3, window=7)
    assert needs_futures(registry, [{"name": "mine"}]) is None
    with pytest.raises(ContractError, match="needs_futures returns the bool True, not a Futures or None"):
        needs(3)
    with pytest.raises(ValueError, match="agent.chunk='two' is no int"):
        needs_futures(AGENTS, [{"name": "crl", "chunk": "two"}])
    assert needs_futures(AGENTS, [AGENTS.defaults("sac"), AGENTS.defaults("crl")]) is None
    safe = AGENTS.defaults("crl") | {"survival": "log_z"}
    assert needs_futures(AGENTS, [AGENTS.defaults("sac"), safe]) == Futures(falls=True)


def test_ours_are_not_touched() -> None:
    assert origin(LOSSES, "infonce") == ""
    assert checked_build(LOSSES, {"name": "infonce"}).func is infonce


def test_a_users_loss_computes_the_same_numbers() -> None:
    loss = checked_build(registered("loss", lambda logits: logits.logsumexp(1).mean()), {"name": "mine"})
    assert isinstance(loss, CheckedFunction)
    logits = torch.randn(4, 4, requires_grad=True)
    assert loss(logits) == loss(logits) == logits.logsumexp(1).mean()
