"""A reader who types lines as deepcrl prints them, into bash."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Result

LENGTH = 100
"""Env steps of a run."""


class Shell:
    """Types lines as printed, by bash with `deepcrl` on its PATH, in a folder with an unusual name."""

    def __init__(self, deepcrl: Callable[..., Result], tiny: tuple[str, ...], bin_dir: Path) -> None:
        self._deepcrl, self._bin = deepcrl, bin_dir
        short = ("total_env_steps=", "eval_every=", "checkpoint_every=")
        self.short = [*(word for word in tiny if not word.startswith(short)), f"total_env_steps={LENGTH}"]
        (bin_dir / "deepcrl").write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
        (bin_dir / "deepcrl").chmod(0o755)

    def words(self, line: str) -> list[str]:
        """What bash gives the program; it must find nothing else to run."""
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        read = subprocess.run(["bash", "-ec", line], capture_output=True, text=True, env=os.environ | {"PATH": path})
        assert (read.returncode, read.stderr) == (0, ""), line
        return read.stdout.split("\0")[:-1]

    def type(self, line: str, *more: str) -> Result:
        """Runs a line, with further words at its end."""
        assert line.startswith("deepcrl "), line
        return self._deepcrl(*self.words(line), *more)

    def train(self, *arguments: str) -> Result:
        return self._deepcrl("train", *self.short, *arguments)

    def __call__(self, *arguments: str) -> Result:
        return self._deepcrl(*arguments)
