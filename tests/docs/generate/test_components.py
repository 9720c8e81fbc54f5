"""The committed reference of components is what the registries say."""

from __future__ import annotations

from pathlib import Path

from deepcrl.core.components import REGISTRIES
from docs.generate.components import markdown

COMMITTED = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_committed_reference_is_current() -> None:
    assert COMMITTED.read_text() == markdown(), "run: python -m docs.generate.components > docs/reference.md"


def test_every_component_is_there_with_its_settings() -> None:
    text = markdown()
    for registry in REGISTRIES.values():
        for name in registry:
            assert f"`{registry.kind}={name}`" in text or f"`{name}`" in text, name
    assert "### `loss=infonce`\n\nClassify each row's goal among all goals of the batch" in text
    assert "| `loss.logsumexp_coef` | float | `0.1` |" in text
    assert "`point_u_maze` (layout=u_maze)" in text or "### `env=point_u_maze`" in text
