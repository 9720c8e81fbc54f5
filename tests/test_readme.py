"""Every command and every program in README.md and docs/ runs, in order, in one folder, and leaves what it promises."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows
from tests import warm

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
LINKED = (README, CONTRIBUTING, ROOT / "CHANGELOG.md", *PAGES)
DEEPCRL = str(Path(sys.executable).with_name("deepcrl"))
# What makes a run take seconds. Parts that README chooses by name (env, loss, depth, ...) stay as they are.
SHORT = (
    *("num_threads=1", "num_envs=4", "num_eval_envs=2", "unroll_length=5", "episode_length=20", "batch_size=16"),
    *("encoder.width=16", "prefill_steps=20", "grad_steps_per_unroll=2", "total_env_steps=120", "eval_every=40"),
    *("checkpoint_every=40", "video=false", "total_grad_steps=8"),
)
SHORT_RING = ("buffer.capacity=200",)
SHORT_RESUME = ("num_threads=1", "total_env_steps=160", "total_grad_steps=12")
HANGS_AFTER_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of README, and the text right before it."""

    before: str
    language: str
    code: str

    @property
    def file_name(self) -> str | None:
        """The file that a program is to be saved as."""
        named = re.search(r"Save as `(\S+\.py)`[^`]*$", self.before)
        return named[1] if named else None


def blocks(text: str) -> list[Block]:
    parts = re.split(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(*parts[i : i + 3]) for i in range(0, len(parts) - 1, 3)]


def commands(block: Block) -> list[list[str]]:
    """Returns the words of each command, without comments and without make, which CI runs."""
    lines = [shlex.split(line, comments=True) for line in block.code.splitlines()]
    return [words for words in lines if words and words[0] != "make"]


def without_a_cluster(words: list[str]) -> list[str]:
    """Runs what is meant for SLURM by submitit's local executor, which has no queue to choose."""
    if "hydra/launcher=submitit_slurm" not in words:
        return words
    of_the_queue = ("hydra.launcher.partition=", "hydra.launcher.array_parallelism=", "hydra.launcher.gpus_per_node=")
    kept = [word for word in words if not word.startswith(of_the_queue)]
    return [word.replace("submitit_slurm", "submitit_local") for word in kept]


def shortened(words: list[str]) -> list[str]:
    """Appends overrides that make a training run short; the last value of a setting counts."""
    if words[1] != "train" or "--help" in words:
        return words
    if any(word.startswith("resume=") for word in words):
        return [*words, *SHORT_RESUME]
    return [*words, *SHORT, *(() if "buffer=dataset" in words else SHORT_RING)]


class Reader:
    """Does what a reader does: types the commands, saves the files, runs the programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.output: dict[str, str] = {}

    def follow(self, text: str) -> None:
        for block in blocks(text):
            if block.language == "python":
                self.program(block)
            elif block.language == "sh":
                for words in commands(block):
                    self.type(words)

    def program(self, block: Block) -> None:
        if block.file_name:
            (self.folder / block.file_name).write_text(block.code)
        else:
            self.output[block.code] = self.run([sys.executable, "-c", block.code])

    def type(self, words: list[str]) -> None:
        if words[0] == "export":
            given = dict(word.split("=", 1) for word in words[1:])
            if "PYTHONPATH" in given:
                given["PYTHONPATH"] += os.pathsep + os.environ.get("PYTHONPATH", ".")
            self.environment |= given
        else:
            assert words[0] == "deepcrl", f"There is a command that this test cannot run: {shlex.join(words)}"
            self.output[shlex.join(words)] = self.run([DEEPCRL, *shortened(without_a_cluster(words))[1:]])

    def run(self, words: list[str]) -> str:
        done = warm.run(words, self.folder, self.environment, HANGS_AFTER_SECONDS)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """One that has followed all of README."""
    reader = Reader(tmp_path_factory.mktemp("readme"))
    reader.follow(README.read_text())
    return reader


def assert_complete(run: Path) -> None:
    rows, torn = read_rows(run / "metrics.jsonl")
    assert rows[-1]["grad_steps"] > 0
    assert torn == 0
    assert checkpoint.find(run).content
    for name in ("config.yaml", "environment.json", "plots/curves.png"):
        assert (run / name).stat().st_size > 0


def test_every_run_is_complete(reader: Reader) -> None:
    typed = [word for line in reader.output for word in shlex.split(line) if line.startswith("deepcrl train")]
    runs = [word.partition("=")[2] for word in typed if word.startswith("run_dir=")]
    assert {"runs/first", "runs/mine"} <= set(runs)
    for run in runs:
        assert_complete(reader.folder / run)


def test_every_run_of_a_sweep_is_complete(reader: Reader) -> None:
    for sweep, losses in (("losses", ("mine", "infonce")), ("joblib", ("infonce", "symmetric_infonce"))):
        runs = [path for path in (reader.folder / "sweeps" / sweep).iterdir() if path.is_dir()]
        assert {run.name for run in runs} == {f"loss={loss},seed={seed}" for loss in losses for seed in (0, 1)}
        for run in runs:
            assert_complete(run)


def test_the_trained_policy_is_scored_filmed_and_trained_further(reader: Reader) -> None:
    run = reader.folder / "runs" / "first"
    assert len((run / "evaluations.jsonl").read_text().splitlines()) == 3
    assert {path.suffix for path in (run / "videos").iterdir()} == {".mp4", ".gif"}
    rows, _ = read_rows(run / "metrics.jsonl")
    assert rows[-1]["env_steps"] == 160


def test_the_loss_is_listed_and_the_curves_are_drawn(reader: Reader) -> None:
    assert "loss=mine\n    Forward InfoNCE with a temperature." in reader.output["deepcrl list losses"]
    assert (reader.folder / "losses.png").stat().st_size > 0


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "\n```sh\n" in page.read_text()], ids=lambda page: page.stem
)
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


def test_the_tree_and_the_table_name_what_is_there() -> None:
    block = next(block for block in blocks(CONTRIBUTING.read_text()) if block.code.startswith("deepcrl/"))
    parents: list[str] = []
    folders = set()
    for indent, name in re.findall(r"^( *)([a-z]+)/", block.code, flags=re.MULTILINE):
        parents = [*parents[: len(indent) // 2], name]
        folders.add("/".join(parents))
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
    rooms = {f"deepcrl/{path.parent.name}" for path in (ROOT / "deepcrl").glob("*/__init__.py")}
    assert rooms <= folders
    assert [room for room in rooms if f"| `{room}` |" not in README.read_text()] == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in PAGES if page.name != "README.md" and f"({page.name})" not in index] == []


def test_blocks_are_found_and_files_named() -> None:
    text = "```sh\nmake all  # no\ndeepcrl list # yes\n```\nSave as `a.py`:\n\n```python\nx = 1\n```\nThen\n"
    first, second = blocks(text)
    assert commands(first) == [["deepcrl", "list"]]
    assert (first.file_name, second.file_name, second.code) == (None, "a.py", "x = 1\n")


def test_a_command_that_fails_is_shown(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"list losse\s+deepcrl: Unknown kind 'losse'"):
        Reader(tmp_path).follow("```sh\ndeepcrl list losse\n```\n")
