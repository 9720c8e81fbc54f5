"""Every command that deepcrl prints does what it says, typed as printed, in a folder with an unusual name."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig

from deepcrl.cli.hydra import sweep
from deepcrl.cli.hydra.compose import compose_values
from deepcrl.core.types import EnvError
from deepcrl.run import checkpoint
from deepcrl.run.checkpoint import list_checkpoints
from deepcrl.run.metrics import read_rows
from deepcrl.run.recorder import RunRecorder
from tests.cli.conftest import last_of_each
from tests.cli.shell import LENGTH, Shell

PACKAGE = Path(__file__).parents[2] / "deepcrl"
FOLDER, RUN, SWEEP = "my [runs] a=b", "r s=t[u]", "s w=e (p)/$a"

Case = Callable[[Shell, pytest.MonkeyPatch], None]
CASES: dict[str, Case] = {}
PLACES: set[str] = set()


def prints(*places: str) -> Callable[[Case], Case]:
    """Registers a case; `places` are the functions whose commands it types, as `file:function`."""

    def register(case: Case) -> Case:
        CASES[case.__name__] = case
        PLACES.update(places)
        return case

    return register


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, text
    return match[1]


def at_row(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], Any]) -> None:
    """Has `action` happen once, before a run records its row of that number, counted over all runs."""
    log, rows = RunRecorder.log, []

    def logged(self: RunRecorder, row: dict[str, float]) -> None:
        rows.append(row)
        if len(rows) == number:
            action()
        log(self, row)

    monkeypatch.setattr(RunRecorder, "log", logged)


def raises(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


def assert_complete(run: Path | str, starts: int) -> None:
    """Asserts that the run in a folder is whole, and was started so many times."""
    rows, torn = read_rows(Path(run, "metrics.jsonl"))
    assert torn == 0
    assert [row["env_steps"] for row in rows] == list(range(0, LENGTH + 1, 20))
    assert len(json.loads(Path(run, "environment.json").read_text())["starts"]) == starts


@prints("run/training.py:train_run")
def the_command_at_the_start_of_a_run(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    line = found(r"go on with: (.+)$", shell.train(f"run_dir={RUN}").out)
    told = shell.type(line)
    assert told.code == 0
    assert told.out.endswith(f"Already finished: {RUN} (a larger total_env_steps would go on)\n")
    assert shell.type(line, f"total_env_steps={LENGTH + 20}").code == 0
    assert read_rows(Path(RUN, "metrics.jsonl"))[0][-1]["env_steps"] == LENGTH + 20


@prints("run/training.py:train_run")
def an_interrupted_run(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    at_row(monkeypatch, 4, lambda: signal.raise_signal(signal.SIGTERM))
    stopped = shell.train(f"run_dir={RUN}")
    assert stopped.code == 143
    assert shell.type(found(r"^Saved. Go on with: (.+)$", stopped.out)).code == 0
    assert_complete(RUN, starts=2)


@prints("run/directory.py:check_unused")
def a_run_killed_before_its_first_checkpoint(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    at_row(monkeypatch, 1, raises(KeyboardInterrupt()))
    assert shell.train(f"run_dir={RUN}").code == 130
    told = found(r"go on with it by (.+), or choose", shell.train(f"run_dir={RUN}").error)
    assert shell.type(f"deepcrl train {told}").code == 0
    assert_complete(RUN, starts=2)


@prints("run/recorder.py:resume_hint")
def a_full_disk(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    at_row(monkeypatch, 1, raises(EnvError("it fell over")))
    error = shell.train(f"run_dir={RUN}").error
    assert shell.type(f"deepcrl train {found(r'start it anew with (.+)$', error)}").code == 0
    assert_complete(RUN, starts=2)
    at_row(monkeypatch, 4, raises(EnvError("it fell over")))
    error = shell.train("run_dir=second run").error
    assert shell.type(f"deepcrl train {found(r'from the last checkpoint with (.+)$', error)}").code == 0
    assert_complete("second run", starts=2)


@prints("run/checkpoint.py:save")
def a_checkpoint_that_cannot_be_written(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def break_the_disk() -> None:
        monkeypatch.setattr(checkpoint.state_file, "write", refuse)

    write = checkpoint.state_file.write
    for number, pattern, run in ((1, r"There is no earlier one: (.+) starts anew", RUN), (4, r"with (.+)$", "s t")):
        at_row(monkeypatch, number, break_the_disk)
        error = shell.train(f"run_dir={run}").error
        monkeypatch.setattr(checkpoint.state_file, "write", write)
        assert shell.type(f"deepcrl train {found(pattern, error)}").code == 0
        assert_complete(run, starts=2)


@prints("run/checkpoint.py:_alternative", "run/start.py:resumed")
def a_damaged_checkpoint_and_one_of_another_folder(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell.train(f"run_dir={RUN}", "checkpoint_every=20").code == 0
    newest = list_checkpoints(Path(RUN, "checkpoints"))[-1].path
    shutil.copytree(newest, Path(RUN, "nan_dump", newest.name))
    (newest / "state.pt").write_bytes(b"")
    told = found(r"try (.+)$", shell("eval", RUN, "num_eval_envs=1").error)
    assert shell.type(f"deepcrl train {told}").code == 0
    assert_complete(RUN, starts=2)
    told = found(r"go on with the run by (.+)$", shell("train", f"resume={RUN}/nan_dump/{newest.name}").error)
    assert shell.type(f"deepcrl train {told}").out.count("Already finished: ") == 1


@prints("cli/export.py:main", "cli/collect.py:main", "cli/export.py:learn_command")
def what_learns_from_an_export_or_a_collection(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ("env=point_maze", "env.layout='#####/#RG.#/#####'", "env.cell_size=3", "reset=fixed")
    assert shell.train(*own, f"run_dir={RUN}").code == 0
    small = ("episode_length=20", "num_envs=4", "num_threads=1", "--steps", "80")
    printed = [shell("export", RUN, "x y=z[0].npz").out, shell("collect", "c d=[1].npz", *own, *small).out]
    short = [word for word in shell.short if not word.startswith(("buffer.", "episode_length", "env=", "total_env"))]
    for folder, out in zip(("exported", "collected"), printed, strict=True):
        words = (*short, "total_grad_steps=4", f"run_dir={folder}")
        assert shell.type(found(r"learn from it: (.+)$", out), *words).code == 0
        saved = [yaml.safe_load(Path(run, "config.yaml").read_text()) for run in (RUN, folder)]
        for key in ("env", "reset", "episode_length")[: 3 if folder == "exported" else 2]:
            assert saved[0][key] == saved[1][key]


@prints("cli/train.py:main")
def the_command_that_a_run_keeps(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell.train(f"run_dir={RUN}", "seed=3").code == 0
    line = json.loads(Path(RUN, "environment.json").read_text())["starts"][0]["command"]
    config = Path(RUN, "config.yaml").read_text()
    shutil.rmtree(RUN)
    assert shell.type(line).code == 0
    assert Path(RUN, "config.yaml").read_text() == config
    assert_complete(RUN, starts=1)


@prints("cli/hydra/sweep.py:on_multirun_end", "cli/hydra/resume.py:resumed", "cli/hydra/overrides.py:check")
def a_sweep_with_a_run_that_fails(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = shell.train("-m", "encoder.depth=4,6", f"hydra.sweep.dir={SWEEP}")
    assert failed.code == 2
    again = found(r"the same command, with (.+), goes on with them$", failed.err)
    for told in (
        found(r"if given (.+)$", shell("train", f"resume={SWEEP}").error),
        found(r"for a sweep use (.+)$", shell("train", "-m", "seed=0,1", f"run_dir={SWEEP}").error),
    ):
        assert told == again
    shutil.rmtree(Path(SWEEP, "encoder.depth=6"))
    mended = shell.type(f"deepcrl train {again}", *shell.short, "-m", "encoder.depth=4,8")
    assert mended.code == 0
    assert mended.out.count("Already complete: ") == 1
    assert shell.type(found(r"Compare them: (.+)$", mended.out), "--no-maps").code == 0
    assert Path("report.html").stat().st_size > 0
    kept = json.loads(Path(SWEEP, "encoder.depth=8", "environment.json").read_text())["starts"][0]["command"]
    assert shell.type(kept).out.count("Already complete: ") == 2


@prints("cli/hydra/sweep.py:_guarded")
def a_sweep_that_is_stopped(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    at_row(monkeypatch, 8, lambda: signal.raise_signal(signal.SIGINT))
    stopped = shell.train("-m", "seed=0,1", f"hydra.sweep.dir={SWEEP}")
    assert stopped.code == 130
    again = found(r"^The sweep stops here. The same command goes on, with (.+)$", stopped.out)
    result = shell.type(f"deepcrl train {again}", *shell.short, "-m", "seed=0,1")
    assert result.code == 0
    assert_complete(Path(SWEEP, "seed=0"), starts=1)
    assert_complete(Path(SWEEP, "seed=1"), starts=2)


@prints("cli/hydra/sweep.py:told_of_the_queue")
def waiting_for_a_queue(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: sweep.Summary, config: DictConfig, **kwargs: Any) -> None:
        sweep._in_a_queue.append(Path(config.hydra.sweep.dir))
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(sweep.Summary, "on_multirun_start", start)
        stopped = shell.train("-m", "seed=0,1", f"hydra.sweep.dir={SWEEP}")
    signal.signal(signal.SIGINT, handler)
    assert stopped.code == 130
    told = found(r"the same command, with (.+), sums up$", stopped.err)
    assert shell.words(f"deepcrl {told}") == [f"hydra.sweep.dir={SWEEP}"]


@prints("cli/hydra/sweep.py:on_multirun_start")
def a_sweep_that_cannot_be_written(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a b'c").write_text("")
    told = found(r"^Cannot write to (.+): it is a file$", shell.train("-m", "seed=0,1", "hydra.sweep.dir=a b'c").error)
    assert shell.words(f"deepcrl {told}") == ["hydra.sweep.dir=a b'c"]


def a_value_that_hydra_cannot_read(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    error = shell("train", "env=gymnasium", "env.id=a b;c").error
    told = found(r"quote its value for Hydra: (.+)$", error)
    shown = shell.type(f"deepcrl train env=gymnasium {told} --cfg job")
    assert yaml.safe_load(shown.out)["env"]["id"] == "a b;c"


def what_is_named_in_errors(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [shell("train", "env=null"), shell("train", "loss=3"), shell("play", "policy=random", "seed=1")]
    told += [shell(verb, "--nonsense") for verb in ("eval", "play", "export", "report")]
    lines = [found(r"(deepcrl (?:list[ a-z]*|[a-z]+ --help))", one.error) for one in told]
    assert len(set(lines)) == 6
    for line in set(lines):
        assert shell.type(line).out
    assert literal_commands() == ["deepcrl list", "deepcrl list envs"]
    for line in literal_commands():
        assert shell.type(line).out


def the_help(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(r"first run: +(deepcrl .+)$", shell("--help").out)
    assert shell.type(first, "--cfg", "job").code == 0
    text = shell("train", "--help").out
    for line in ("deepcrl list losses", "deepcrl train --hydra-help", "deepcrl train --cfg job"):
        assert line in text
        assert shell.type(line).code == 0
    words = re.findall(r"(?<= )[a-z_.]+=[^\s;]+", found(r"most used:\n((?:  .+\n)+)", text))
    named = [word for word in words if not re.search("NAME|FILE", word)]
    assert len(named) > 15
    assert compose_values(last_of_each(tuple(named)))


for case in (a_value_that_hydra_cannot_read, what_is_named_in_errors, the_help):
    prints()(case)


@pytest.mark.parametrize("case", CASES)
def test_a_printed_command_does_what_it_says(
    case: str, deepcrl, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (FOLDER, "bin"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / FOLDER)
    CASES[case](Shell(deepcrl, tiny, tmp_path / "bin"), monkeypatch)


def literal_commands() -> list[str]:
    """Commands that stand in messages as they are: `see `deepcrl list envs``."""
    lines: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings]
        lines |= {line for text in texts if isinstance(text, str) for line in re.findall(r"`(deepcrl [^`]*)`", text)}
    return sorted(lines)


def test_every_place_that_prints_a_command_has_a_case() -> None:
    places = set()
    for path in PACKAGE.rglob("*.py"):
        if "from deepcrl.run.hints import" not in (text := path.read_text()):
            continue
        for function in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)):
            called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            if any(isinstance(name, ast.Name) and name.id in ("command", "setting", "typed") for name in called):
                places.add(f"{path.relative_to(PACKAGE)}:{function.name}")
    assert places == PLACES
