"""The first call is checked, and leaves no trace: neither in what is computed nor in what is called later."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepcrl.core.contract.first_call import CheckedFunction, ContractError, check_forward, check_method


class Doubled:
    def paired(self, x: Tensor) -> Tensor:
        return 2 * x


class Same:
    def paired(self, x: Tensor) -> Tensor:
        return x


class Inherits(Doubled):
    pass


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def check(seen):
    return lambda args, result: seen.append((args, result))


@pytest.mark.parametrize("cls", [Doubled, Inherits])
def test_a_method_is_as_it_was_after_its_first_call(cls: type[Doubled], seen, check) -> None:
    mine, x = copy.deepcopy(cls()), torch.ones(3)
    before = dict(vars(cls))
    check_method("mine", cls, "paired", check)
    check_method("mine", cls, "paired", check)  # another agent is built before
    assert torch.equal(mine.paired(x), 2 * x)
    assert dict(vars(cls)) == before
    mine.paired(x)
    assert len(seen) == 1


def test_a_function_is_called_directly_after_its_first_call(seen, check) -> None:
    double = functools.partial(torch.mul, torch.tensor(2.0))
    checked = CheckedFunction("mine", double, check)
    assert [float(checked(torch.tensor(float(i)))) for i in range(3)] == [0, 2, 4]
    assert len(seen) == 1
    assert checked._call is double


def test_each_copy_of_a_module_is_checked_once(seen, check) -> None:
    module = nn.Linear(2, 2)
    check_forward(module, check)
    modules = (module, copy.deepcopy(module))
    for _ in range(3):
        for net in modules:
            net(torch.ones(1, 2))
    assert len(seen) == 2
    assert not any(net._forward_hooks for net in modules)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_call_without_data_is_not_the_first(seen, check, device: str) -> None:
    checked = CheckedFunction("mine", lambda x: x, check)
    check_method("mine", Same, "paired", check)
    for _ in range(2):
        checked(torch.empty(2, device=device))
        Same().paired(torch.empty(2, device=device))
    assert len(seen) == (4 if device == "meta" else 2)


def test_writing_into_an_argument_is_noticed(check) -> None:
    with pytest.raises(ContractError, match="^mine changed in place what it was given"):
        CheckedFunction("mine", lambda x: x.add_(1), check)(torch.ones(2))
