"""Numbers as the page gets them: short, and null where they are not finite."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def number(value: float | None) -> float | None:
    """Five significant digits are more than a screen shows; what is not finite is null."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def numbers(values: np.ndarray) -> list[float | None]:
    return [number(value) for value in values.tolist()]


def rounded(value: Any) -> Any:
    """Shortens every float of nested values."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return number(value) if isinstance(value, float) else value
