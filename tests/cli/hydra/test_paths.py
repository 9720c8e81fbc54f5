"""Paths on the command line: taken as they are typed, whatever characters they have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from deepcrl.cli.hydra.paths import PATHS, hydra_value, plain, quoted

NAMES = [
    *("runs/a", "s/loss=dcl", "s/seed=0", "runs/(old)", "x[8]", "lr=0.1", "out=x.npz", "a b", "a,b", "a:b", "{a}", "ü"),
    *(
        "it's",
        'a"b',
        "a\\b",
        "a\\",
        "50%",
        "a#b",
        "null",
        "3",
        "1e3",
        "true",
        "a'b\\'c",
        "-x",
        "$HOME",
        "..",
        "@a",
        "a|b",
    ),
]


def read_by_hydra(override: str) -> object:
    return OverridesParser.create().parse_override(override).value()


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_read_as_it_is_typed(name: str) -> None:
    for key in PATHS:
        (override,) = quoted([f"{key}={name}"], sweep=False)
        assert read_by_hydra(override) == name
        assert plain(override.partition("=")[2]) == name
        assert quoted([override], sweep=False) == [override]


@pytest.mark.parametrize("spelled", ["'a b'", '"a b"', "'~/a b'", "~/a b"])
def test_hydras_quotes_are_read_and_a_home_is_expanded(spelled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    home = "/home/me/" if "~" in spelled else ""
    (override,) = quoted([f"run_dir={spelled}"], sweep=False)
    assert read_by_hydra(override) == f"{home}a b"


def test_commas_separate_the_files_of_a_sweep() -> None:
    (override,) = quoted(["buffer.path=a/x=1.npz,'b,c.npz',d e"], sweep=True)
    swept = OverridesParser.create().parse_override(override)
    assert [plain(text) for text in swept.sweep_string_iterator()] == ["a/x=1.npz", "b,c.npz", "d e"]
    assert quoted(["buffer.path=choice(a,b)"], sweep=True) == ["buffer.path=choice(a,b)"]
    assert quoted(["hydra.sweep.dir=a,b"], sweep=True) == ["hydra.sweep.dir='a,b'"]


def test_other_settings_and_flags_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    others = ["seed=0,1", "-m", "env.layout='a b'", "run_dir=", "loss=dcl", "++env.kwargs.x=~"]
    assert quoted(others, sweep=True) == others
    assert quoted(["--config-dir", "~/a", "-cd=~/b"], sweep=False) == ["--config-dir", "/home/me/a", "-cd=/home/me/b"]


@pytest.mark.parametrize(
    "value", [None, True, 3, -1.5, 1e-7, "a b", "it's", "${x}", "", [1, "b c"], {"k": [1, "x:y"]}, {}]
)
def test_values_are_read_back(value: object) -> None:
    read = read_by_hydra(f"key={hydra_value(value)}")
    assert read == ("\\${x}" if value == "${x}" else value)  # which OmegaConf reads as ${x}


def test_a_run_in_a_folder_with_an_unusual_name(deepcrl, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All verbs: one run, in a home, of which everything else is made."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    run = "~/lr=0.1 (old)"
    assert deepcrl("train", *tiny, f"run_dir={run}", "total_env_steps=100").code == 0
    assert [path.name for path in (tmp_path / "home").glob("[!.]*")] == ["lr=0.1 (old)"]
    for typed in (f"resume={run}", f"resume='{run}'"):
        resumed = deepcrl("train", typed, "logger=none", "total_env_steps=120")
        assert (resumed.code, resumed.err) == (0, "")
    assert deepcrl("export", run, "out=~/out=x.npz").code == 0
    assert (tmp_path / "home" / "out=x.npz").exists()
    assert deepcrl("eval", run, "num_eval_envs=1").code == 0
    assert deepcrl("report", run, "-o", "~/page.html", "--csv", "~/t.csv", "--no-maps").code == 0
    assert {"page.html", "t.csv"} <= {path.name for path in (tmp_path / "home").iterdir()}
    common = [word for word in tiny if not word.startswith("buffer.")]
    offline = ("buffer=dataset", "buffer.path=~/out=x.npz", "total_grad_steps=4", "eval_every=4", "run_dir=~/b")
    assert deepcrl("train", *common, *offline).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("key", ["resume", "run_dir", "hydra.sweep.dir"])
@pytest.mark.parametrize("nothing", ["", "''", "  "])
def test_an_empty_path_is_refused(deepcrl, tiny, tmp_path: Path, key: str, nothing: str) -> None:
    error = deepcrl("train", *tiny, f"{key}={nothing}").error
    assert error == f"{key}= names no folder: give a path, or leave it out (is a shell variable not set?)"
    assert not list(tmp_path.iterdir())
