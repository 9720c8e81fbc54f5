"""Some of the damaged run folders; `python -m tests.drill.report_folders` tries all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import deepcrl  # noqa: F401 - a fixture
from tests.drill import report_folders
from tests.drill.damages import KINDS, OUT, SECRET, SHOWN, Damage
from tests.drill.forks import Answer
from tests.drill.report_folders import Structure, damages, seen, wrong_lines, wrong_outcome, wrong_page
from tests.report.conftest import write_run


@pytest.mark.parametrize(("kind", "seed"), [("a_file_is_gone", 1), ("a_value_in_the_metrics", 0)])
def test_a_report_beside_a_damaged_run(deepcrl, tmp_path: Path, kind: str, seed: int) -> None:  # noqa: F811
    for name in ("healthy_0", "healthy_1", "0bad"):
        write_run(tmp_path / "runs" / name, [0, 1], seed=int(name == "healthy_1"))
    assert deepcrl("report", "runs/healthy_0", "runs/healthy_1", "--no-maps", "-o", "good.html").code == 0
    tags = [tag for tag, _ in Structure(Path("good.html").read_text()).tags]
    outcome = Damage(kind, seed).do(tmp_path / "runs" / "0bad", tmp_path)
    result = deepcrl("report", "runs", "--no-maps", "-o", "page.html")
    page = Path("page.html").read_bytes()
    assert (result.code, result.err) == (0, "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_folders, "EXPECTED_TAGS", tags)
        assert wrong_page(page) == ""
        assert wrong_page(page.replace(b"</body>", b"<b></b></body>")) == "other elements than the page has"
        assert "does not show" in wrong_page(page.replace(b"healthy_1", b"healthy_2"))
    assert wrong_outcome(tmp_path / "runs" / "0bad", outcome, result.out, page) == ""
    other = {OUT: SHOWN, SHOWN: OUT}[outcome]
    assert "must be" in wrong_outcome(tmp_path / "runs" / "0bad", other, result.out, page)


def test_the_seed_says_which() -> None:
    assert damages(3, 60) == damages(3, 60)
    assert damages(3, 60) != damages(4, 60)
    assert {damage.kind for damage in damages(0, 160)} == {*KINDS}


def test_a_complaint_is_noticed(tmp_path: Path) -> None:
    assert wrong_lines("note: x: left out\n2 runs: page.html\n") == ""
    assert wrong_lines("x\n2 runs: page.html\n") == "a line that is no note"
    assert wrong_lines("note: \x1b[31m\n2 runs: page.html\n") == "characters that no terminal should get"
    assert wrong_lines("2 runs: \u202e") == "characters that no terminal should get"
    assert report_folders.complaint(tmp_path, [], Answer(None, "", "", 0, 0)) == "hangs"
    assert report_folders.complaint(tmp_path, [], Answer(1, "", "x\n", 0, 0)) == "status 1, 1 lines on stderr"
    (tmp_path / "table.csv").write_text(f"a,{SECRET}")
    assert report_folders.secrets(tmp_path, Answer(0, "", "", 0, 0)) == "shows the secret"
    before = seen(tmp_path)
    (tmp_path / "canary").touch()
    assert {*seen(tmp_path)} - {*before} == {"canary"}
    with pytest.raises(ValueError, match="NaN in the page's JSON"):
        report_folders.content_of(f'<script id="content" type="application/json">{json.dumps(float("nan"))}</script>')
