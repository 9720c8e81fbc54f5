"""discover(): built-in modules, then plugins; a bad plugin is named."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepcrl.core import components
from deepcrl.core.components import LOSSES, PLUGINS_GROUP, PLUGINS_VARIABLE, REGISTRIES, PluginError, discover

LOSS = """
from torch import Tensor
from deepcrl.core.components import LOSSES

@LOSSES.register("{name}")
def mine(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    return logits.mean() / temperature
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path for plugins' modules; what they register is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(LOSSES, "_items", dict(LOSSES._items))
    monkeypatch.setattr(LOSSES, "_schemas", dict(LOSSES._schemas))
    components._entry_points.cache_clear()
    yield tmp_path
    components._entry_points.cache_clear()
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


def test_built_in_components_are_there_and_twice_changes_nothing() -> None:
    before = {kind: list(registry) for kind, registry in REGISTRIES.items()}
    discover()
    assert {kind: list(registry) for kind, registry in REGISTRIES.items()} == before
    assert "point_u_maze" in before["envs"]
    assert {"infonce", "backward_infonce", "symmetric_infonce"} <= set(before["losses"])
    assert {"norm", "l2", "dot", "cosine"} <= set(before["energies"])
    assert all(before.values())


def test_plugins_named_in_the_environment(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plugins / "plugin_a.py").write_text(LOSS.format(name="mine_a"))
    (plugins / "plugin_b.py").write_text(LOSS.format(name="mine_b"))
    monkeypatch.setenv(PLUGINS_VARIABLE, "plugin_a, plugin_b,")
    discover()
    assert {"mine_a", "mine_b"} <= set(LOSSES)
    assert LOSSES.defaults("mine_a") == {"name": "mine_a", "temperature": 1.0}


def test_plugins_of_installed_packages(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plugins / "plugin_c.py").write_text(LOSS.format(name="mine_c"))
    entry = importlib.metadata.EntryPoint("lab", "plugin_c:anything", PLUGINS_GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry] if group == PLUGINS_GROUP else [])
    discover()
    assert "mine_c" in LOSSES


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, r"Plugin 'plugin_d' \(named in DEEPCRL_PLUGINS\) failed to import: ModuleNotFoundError"),
        ("import nonsense_that_is_not_there", "Plugin 'plugin_d' .* No module named 'nonsense_that_is_not_there'"),
        ("1 / 0", "Plugin 'plugin_d' .* ZeroDivisionError: division by zero"),
        ("def f(:", "Plugin 'plugin_d' .* SyntaxError"),
        (LOSS.format(name="infonce"), "'infonce' of plugin_d is already registered by deepcrl.core.losses.infonce"),
    ],
)
def test_a_bad_plugin_is_named(
    plugins: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, message: str
) -> None:
    if source is not None:
        (plugins / "plugin_d.py").write_text(source)
    monkeypatch.setenv(PLUGINS_VARIABLE, "plugin_d")
    with pytest.raises(PluginError, match=message):
        discover()


def test_a_bad_entry_point_is_named(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("lab", "plugin_e", PLUGINS_GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])
    with pytest.raises(PluginError, match=r"Plugin 'plugin_e' \(entry point 'lab'\) failed to import"):
        discover()
