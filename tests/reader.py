"""A reader of the documentation who types its commands, saves its files, and runs its programs, in one folder."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows
from tests import warm

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
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


def assert_complete(run: Path) -> None:
    rows, torn = read_rows(run / "metrics.jsonl")
    assert rows[-1]["grad_steps"] > 0
    assert torn == 0
    assert checkpoint.find(run).content
    for name in ("config.yaml", "environment.json", "plots/curves.png"):
        assert (run / name).stat().st_size > 0
