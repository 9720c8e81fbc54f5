"""results/ is light, laid out alike, and says what its runs say: archives unpack, scores are those of the report."""

from __future__ import annotations

import csv
import functools
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from deepcrl.core.components import discover
from deepcrl.report import read
from deepcrl.report.write import write_csv
from docs.generate.results import KEPT

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
CLAIMS = sorted(path.name for path in RESULTS.iterdir() if path.is_dir())
MAX_BYTES, MAX_BYTES_OF_A_CLAIM, MAX_PICTURES, MAX_FILMS = 6_000_000, 1_500_000, 2, 1
WITHOUT_ENVIRONMENT = ("offline_point_u_maze",)
"""Its runs have left no environment.json, which results/README.md says."""
FAST_YAML = functools.partial(yaml.load, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.fixture(scope="module", params=CLAIMS)
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one claim, out of its archive."""
    folder = tmp_path_factory.mktemp("results")
    with tarfile.open(RESULTS / request.param / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / request.param


def test_the_folder_is_light() -> None:
    sizes = {path: path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < MAX_BYTES
    for claim in CLAIMS:
        assert sum(size for path, size in sizes.items() if RESULTS / claim in path.parents) < MAX_BYTES_OF_A_CLAIM


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_has_its_files_and_no_others(claim: str) -> None:
    files = {path.name for path in (RESULTS / claim).iterdir()}
    pictures = {name for name in files if name.endswith(".png")}
    films = {name for name in files if name.endswith(".gif")}
    needed = {"runs.tar.xz", "config.yaml", "environment.json", "scores.csv"}
    if claim in WITHOUT_ENVIRONMENT:
        needed.remove("environment.json")
    assert files - pictures - films == needed
    assert len(pictures) <= MAX_PICTURES
    assert len(films) <= MAX_FILMS


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_archive_holds_whole_runs_and_nothing_else(claim: str) -> None:
    with tarfile.open(RESULTS / claim / "runs.tar.xz") as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(set(names))
    assert all(member.isreg() and not member.mtime and not member.uid and not member.gid for member in members)
    parts = [name.split("/") for name in names]
    assert all(first == claim and ".." not in rest and rest[-1] in KEPT for first, *rest in parts)
    each = [{name.rpartition("/")[0] for name in names if name.endswith(f"/{kept}")} for kept in KEPT]
    assert each[0] == each[2]
    assert each[1] == (set() if claim in WITHOUT_ENVIRONMENT else each[0])


def test_the_report_reads_every_run(unpacked: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(yaml, "safe_load", FAST_YAML)
    discover()
    score = (RESULTS / unpacked.name / "scores.csv").read_text().split(",")[3]
    found = read.read_runs([unpacked], score)
    assert found.notes == []
    assert {run.path for run in found.runs} == {path.parent for path in unpacked.rglob("metrics.jsonl")}
    write_csv(found, tmp_path / "scores.csv")
    words, numbers = table(tmp_path / "scores.csv")
    kept_words, kept_numbers = table(RESULTS / unpacked.name / "scores.csv")
    assert words == kept_words
    assert numbers == pytest.approx(kept_numbers, nan_ok=True)


def table(path: Path) -> tuple[list[list[str]], list[float]]:
    """A CSV's words, and its numbers apart: another numpy may round the last digit elsewhere."""
    rows = list(csv.reader(path.open()))
    return [rows[0], *(row[:3] for row in rows[1:])], [float(x or "nan") for row in rows[1:] for x in row[3:]]


def test_the_config_shown_is_one_of_the_runs(unpacked: Path) -> None:
    claim = RESULTS / unpacked.name
    shown = (claim / "config.yaml").read_bytes()
    runs = [path.parent for path in unpacked.rglob("config.yaml") if path.read_bytes() == shown]
    environment = claim / "environment.json"
    assert runs
    if environment.exists():
        assert any((run / "environment.json").read_bytes() == environment.read_bytes() for run in runs)


def test_every_claim_has_a_section_that_names_its_command() -> None:
    sections = re.split(r"^## ", (RESULTS / "README.md").read_text(), flags=re.MULTILINE)[1:]
    for claim in CLAIMS:
        (section,) = [text for text in sections if f"({claim}/" in text or f"({claim})" in text]
        assert "deepcrl train " in section, claim


def test_every_picture_and_link_of_the_page_is_there() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (RESULTS / "README.md").read_text())
    assert [link for link in links if "://" not in link and not (RESULTS / link).exists()] == []
    pictures = {path for suffix in ("png", "gif") for path in RESULTS.rglob(f"*.{suffix}")}
    assert pictures == {path for path in pictures if path.relative_to(RESULTS).as_posix() in links}
