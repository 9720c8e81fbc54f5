from __future__ import annotations

from typing import Any

import pytest

from deepcrl.core.checks import above, at_least, at_most, multiple, one_of, printable, share, shown, suggest

NAN = float("nan")


@pytest.mark.parametrize("value", [-0.1, 1.1, NAN])
def test_a_share_lies_between_0_and_1(value: float) -> None:
    for end in (0.0, 0.5, 1.0):
        share("agent.mix", end)
    with pytest.raises(ValueError, match="^agent.mix is a share between 0 and 1, got "):
        share("agent.mix", value)


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (at_least, 2, 1, "x must be at least 2, got 1"),
        (at_least, 2.0, NAN, "x must be at least 2, got nan"),
        (above, 2.1, 2, "x must be greater than 2, got 2"),
        (above, 3, NAN, "x must be greater than 2, got nan"),
        (at_most, 2, 10**400, rf"x must be at most 2, got 1{'0' * 79}\.\.\. \(401 characters\)"),
    ],
)
def test_a_bound_is_kept(check: Any, good: float, bad: float, message: str) -> None:
    check("x", good, 2)
    with pytest.raises(ValueError, match=f"^{message}$"):
        check("x", bad, 2)


@pytest.mark.parametrize(("value", "near"), [(6, "4 or 8"), (3, "4"), (0, "4"), (-4, "4")])
def test_a_multiple_names_the_nearest(value: int, near: str) -> None:
    multiple("x", 8, 4, "4")
    with pytest.raises(ValueError, match=f"^x is {value}; it must be a positive multiple of 4, such as {near}$"):
        multiple("x", value, 4, "4")


def test_an_unknown_name_gets_a_suggestion() -> None:
    one_of("norm", "none", ("none", "layer_norm"))
    with pytest.raises(
        ValueError, match="^Unknown norm 'layernorm'. Did you mean 'layer_norm'. Known: layer_norm, none$"
    ):
        one_of("norm", "layernorm", ("none", "layer_norm"))


def test_a_message_repeats_the_beginning_of_a_long_value() -> None:
    assert shown("x" * 80) == "x" * 80
    assert shown("x" * 81) == f"{'x' * 80}... (81 characters)"
    assert suggest("loss", "x" * 5000, ["dcl"]) == f"Unknown loss '{'x' * 80}... (5,000 characters)'. Known: dcl"


def test_a_terminal_gets_plain_characters() -> None:
    assert printable("größe 50% 🤖 'a'") == "größe 50% 🤖 'a'"
    assert printable("\x1b[31m\n\u202e\udcff") == "\\x1b[31m\\n\\u202e\\udcff"
