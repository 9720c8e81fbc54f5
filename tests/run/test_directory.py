import json
import subprocess
from pathlib import Path

import pytest
import yaml

from deepcrl.run.directory import RunDir, keep_damaged, prepare
from deepcrl.run.environment import git_revision, run_id_of

CONFIG = {"seed": 3, "encoder": {"name": "residual_mlp", "depth": 16}, "lr": 3e-4, "tags": ("a",), "where": Path("x")}


def test_prepare_writes_config_and_environment(tmp_path: Path) -> None:
    run = prepare(tmp_path / "runs" / "one", CONFIG, resume=False)
    loaded = yaml.safe_load(run.config_path.read_text())
    assert loaded == {**CONFIG, "tags": ["a"], "where": "x"}
    (start,) = json.loads(run.environment_path.read_text())["starts"]
    assert {"python", "torch", "mujoco", "deepcrl"} <= start["versions"].keys()
    assert start["machine"]["cpu_cores"] >= 1
    assert start["command"]
    for directory in (run.checkpoints_dir, run.plots_dir, run.videos_dir):
        assert directory.is_dir()
    assert run.metrics_path == tmp_path / "runs" / "one" / "metrics.jsonl"


def test_prepare_refuses_a_used_directory(tmp_path: Path) -> None:
    run = prepare(tmp_path / "run", CONFIG, resume=False)
    before = run.config_path.read_bytes()
    with pytest.raises(ValueError, match=r"already holds a run; go on with it by resume=.*run"):
        prepare(tmp_path / "run", {"seed": 4}, resume=False)
    assert run.config_path.read_bytes() == before


def test_prepare_does_not_mind_other_files(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert not RunDir(tmp_path).holds_run()
    assert prepare(tmp_path, CONFIG, resume=False).holds_run()


def test_resume_keeps_every_start(tmp_path: Path) -> None:
    prepare(tmp_path, CONFIG, resume=False)
    run = prepare(tmp_path, {**CONFIG, "seed": 5}, resume=True)
    assert len(json.loads(run.environment_path.read_text())["starts"]) == 2
    assert yaml.safe_load(run.config_path.read_text())["seed"] == 5


def test_a_run_keeps_its_id(tmp_path: Path) -> None:
    ids = [run_id_of(prepare(tmp_path, CONFIG, resume=resume).path) for resume in (False, True)]
    assert ids[0] is not None
    assert ids[0] == ids[1]
    assert run_id_of(prepare(tmp_path / "other", CONFIG, resume=False).path) not in (None, ids[0])
    (tmp_path / "environment.json").write_text("{")
    assert run_id_of(tmp_path) is None
    assert run_id_of(prepare(tmp_path, CONFIG, resume=True, run_id="its checkpoint's").path) == "its checkpoint's"


def test_resume_with_a_damaged_environment_file(tmp_path: Path) -> None:
    run = prepare(tmp_path, CONFIG, resume=False)
    assert keep_damaged(run) == ""
    for number in (1, 2):
        run.environment_path.write_text('{"starts": 1')
        aside = tmp_path / f"environment.damaged_{number}.json"
        told = f"{run.environment_path} is damaged: what it said of earlier starts is lost; as it was: {aside}"
        assert keep_damaged(run) == told
        assert aside.read_text() == '{"starts": 1'
        prepare(tmp_path, CONFIG, resume=True)
        assert len(json.loads(run.environment_path.read_text())["starts"]) == 1
    run.environment_path.unlink()
    assert keep_damaged(run) == f"{run.environment_path} is missing: what it said of earlier starts is lost"


def test_unwritable_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(ValueError, match=r"Cannot write to run_dir .*file.run: ") as raised:
        prepare(tmp_path / "file" / "run", CONFIG, resume=False)
    assert "\n" not in str(raised.value)


def test_git_revision_only_of_tracked_code(tmp_path: Path) -> None:
    def git(*args: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(("git", "-C", str(tmp_path), *identity, *args), check=True, capture_output=True)

    source = tmp_path / "site-packages"
    source.mkdir()
    (source / "code.py").write_text("x = 1\n")
    assert git_revision(source) is None
    git("init")
    assert git_revision(source) is None  # somebody's repository, but the code in it is not tracked
    git("add", ".")
    git("commit", "-m", "first")
    clean = git_revision(source)
    assert clean is not None
    assert len(clean["revision"]) == 40
    assert not clean["dirty"]
    (source / "code.py").write_text("x = 2\n")
    assert git_revision(source) == {**clean, "dirty": True}


def test_machine_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(Path(__file__).parent) is None
