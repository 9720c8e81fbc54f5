"""docs/concepts.md says which files a configuration passes through before the first gradient step: ten at most."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_FILES = 10


def imported(path: Path) -> set[str]:
    """Returns the files of ours that a file imports, a name of a module included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {f"{node.module}"}
    return {name.replace(".", "/") + ".py" for name in names}


def test_the_path_is_short_and_each_file_on_it_is_imported_by_one_before() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text().partition("## From a command to the first gradient step")[2]
    path = re.findall(r"^\d+\. `(deepcrl/.*?\.py)`", text, re.M)
    assert 2 < len(path) <= MAX_FILES
    for i, file in enumerate(path[1:], 1):
        assert any(file in imported(ROOT / earlier) for earlier in path[:i]), file
