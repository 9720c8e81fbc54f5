"""Has the toys in Gymnasium's registry."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import pytest

from tests.envs.gymnasium.toys import TOYS


@pytest.fixture
def toys() -> Iterator[None]:
    for id, toy in TOYS.items():
        gymnasium.register(id, toy)  # pyright: ignore[reportArgumentType]
    yield
    for id in TOYS:
        del gymnasium.registry[id]
