"""docs/quickstart.ipynb runs from its first cell to its last, and stays light."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "quickstart.ipynb"
MAX_BYTES = 100_000
HANGS_AFTER_SECONDS = 600


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nbformat.NotebookNode]:
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=HANGS_AFTER_SECONDS, kernel_name="python3", resources=resources).execute()
    return folder, notebook


def test_every_cell_runs_and_leaves_what_it_shows(ran: tuple[Path, nbformat.NotebookNode]) -> None:
    folder, notebook = ran
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    texts = [output.text for output in outputs if output.get("name") == "stdout"]
    assert any(text.count(" m from the goal at the end") == 5 for text in texts)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    for run in ("notebook", "mine"):
        assert (folder / "runs" / run / "plots" / "curves.png").exists()


def test_it_stays_light(ran: tuple[Path, nbformat.NotebookNode]) -> None:
    _, notebook = ran
    assert len(nbformat.writes(notebook)) < MAX_BYTES
    assert NOTEBOOK.stat().st_size < MAX_BYTES


def test_what_it_imports_is_there() -> None:
    code = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    imports = re.findall(r"^from (deepcrl\S*) import (\w+)$", "\n".join(code), flags=re.MULTILINE)
    assert imports
    assert [(module, name) for module, name in imports if not hasattr(importlib.import_module(module), name)] == []


def test_it_is_committed_without_errors_and_with_its_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
