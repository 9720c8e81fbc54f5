"""Dotted keys of nested settings."""

from __future__ import annotations

import pytest

from deepcrl.core.settings import flatten, lookup, split_key, updated

NESTED = {"env": {"name": "gymnasium", "kwargs": {"x": 1, "y": {}}}, "seed": 3, "eval_env": None, "learners": {}}


@pytest.mark.parametrize(
    ("key", "parts"),
    [("seed", ("seed", "")), ("encoder.depth", ("encoder", "depth")), ("env.kwargs.x", ("env", "kwargs.x"))],
)
def test_split_key(key: str, parts: tuple[str, str]) -> None:
    assert split_key(key) == parts


def test_flatten() -> None:
    rest = {"seed": 3, "eval_env": None, "learners": {}}
    assert flatten(NESTED) == {"env.name": "gymnasium", "env.kwargs.x": 1, "env.kwargs.y": {}} | rest
    assert flatten(NESTED, levels=2) == {"env.name": "gymnasium", "env.kwargs": {"x": 1, "y": {}}} | rest
    assert flatten(NESTED, levels=1) == NESTED


def test_lookup() -> None:
    assert lookup(NESTED, "seed") == 3
    assert lookup(NESTED, "env.kwargs.x") == 1
    assert lookup(NESTED, "env.kwargs") == {"x": 1, "y": {}}
    assert [lookup(NESTED, key) for key in ("sed", "eval_env.name", "seed.x", "env.kwargs.z.w")] == [None] * 4
    assert {key: lookup(NESTED, key) for key in flatten(NESTED)} == flatten(NESTED)


def test_updated_changes_a_copy() -> None:
    changes = {"env.kwargs.x": 2, "seed": 4, "eval_env.name": "ant", "learners.deep.encoder.depth": 8}
    new = updated(NESTED, changes)
    assert {key: lookup(new, key) for key in changes} == changes
    assert new["env"] == {"name": "gymnasium", "kwargs": {"x": 2, "y": {}}}
    assert (NESTED["seed"], NESTED["learners"], lookup(NESTED, "env.kwargs.x")) == (3, {}, 1)


def test_updated_replaces_a_whole_group() -> None:
    assert updated({"loss": {"name": "infonce", "logsumexp_coef": 0.1}}, {"loss": {"name": "dpo"}}) == {
        "loss": {"name": "dpo"}
    }
    assert updated(NESTED, {}) == NESTED
