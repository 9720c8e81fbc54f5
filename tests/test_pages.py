"""Every command and every program of a page in docs/ runs, in order, in a folder of its own; links and titles hold."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.reader import CONTRIBUTING, PAGES, README, ROOT, Reader, assert_complete, blocks, commands

LINKED = (README, CONTRIBUTING, ROOT / "CHANGELOG.md", *PAGES)


def has_commands(page: Path) -> bool:
    """Whether a page has more than `make`, which CI runs."""
    return any(commands(block) for block in blocks(page.read_text()) if block.language == "sh")


@pytest.mark.parametrize("page", [page for page in PAGES if has_commands(page)], ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.follow(page.read_text())
    assert reader.output
    runs = {word.partition("=")[2] for line in reader.output for word in shlex.split(line) if "run_dir=" in word}
    for run in runs:
        assert_complete(tmp_path / run)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)  # in a program, `](` may be a call
    links = re.findall(r"\]\(([^)#\s]+)(#[^)]*)?\)", prose)
    missing = [link for link, _ in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_begins_with_its_command(page: Path) -> None:
    title, _, text = page.read_text().partition("\n\n")
    assert title.startswith("# ")
    assert "\n" not in title
    generated = text.startswith("Made by `python -m docs.generate.")
    assert generated or re.match(r"```(sh)?\n(\w+=\S+ )*(deepcrl|make|python) ", text), text[:80]


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in PAGES if page.name != "README.md" and f"({page.name})" not in index] == []
