from __future__ import annotations

import math

import numpy as np

from deepcrl.report.numbers import number, numbers, rounded


def test_numbers_are_short_and_null_where_they_are_not_finite() -> None:
    assert [number(x) for x in (None, math.nan, -math.inf, 1 / 3, 123456.0, 0.0)] == [
        None,
        None,
        None,
        0.33333,
        123460,
        0,
    ]
    assert numbers(np.array([1 / 3, np.inf])) == [0.33333, None]


def test_nested_values_keep_what_is_no_float() -> None:
    assert rounded({"a": [1 / 3, 7, "x", None, {"b": math.nan}]}) == {"a": [0.33333, 7, "x", None, {"b": None}]}
