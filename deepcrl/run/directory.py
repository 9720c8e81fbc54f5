"""A run directory explains itself: what was run, with which code, on which machine. Written before step 0.

config.yaml        the resolved configuration
environment.json   code revision, versions, machine and command line, once per start or resume
metrics.jsonl      every metric row (see deepcrl.run.loggers)
checkpoints/ plots/ videos/
unstable/          simulations that became unstable, if any did (see deepcrl.envs.physics.unstable)
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import yaml

PACKAGES = ("deepcrl", "torch", "mujoco", "hydra-core", "numpy", "triton", "mujoco-warp", "warp-lang")


@dataclass(frozen=True, slots=True)
class RunDir:
    """The layout of one run's directory."""

    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "config.yaml"

    @property
    def environment_path(self) -> Path:
        return self.path / "environment.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    @property
    def plots_dir(self) -> Path:
        return self.path / "plots"

    @property
    def videos_dir(self) -> Path:
        return self.path / "videos"

    @property
    def unstable_dir(self) -> Path:
        return self.path / "unstable"

    def holds_run(self) -> bool:
        """Whether a run has been started here."""
        return self.config_path.exists() or self.metrics_path.exists()


def prepare(run_dir: str | Path, config: Mapping[str, Any], *, resume: bool) -> RunDir:
    """Creates `run_dir` and writes config.yaml and environment.json into it.

    A resumed run gets the configuration that it goes on with, and one more entry in environment.json.
    Raises ValueError, and leaves what is there as it is, if the directory already holds a run and `resume` is
    false, or if it cannot be written.
    """
    run = RunDir(Path(run_dir))
    if not resume and run.holds_run():
        raise ValueError(
            f"{run.path} already holds a run; go on with it by resume={run.path}, or choose another run_dir"
        )
    starts = [*_earlier_starts(run.environment_path), describe_environment()]
    # Through JSON: paths become strings and tuples lists, so that the YAML needs no Python tags to read back.
    plain = json.loads(json.dumps(config, default=str))
    try:
        for directory in (run.path, run.checkpoints_dir, run.plots_dir, run.videos_dir):
            directory.mkdir(parents=True, exist_ok=True)
        write_atomic(run.config_path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120))
        write_atomic(run.environment_path, json.dumps({"starts": starts}, indent=2) + "\n")
    except OSError as error:
        raise ValueError(f"Cannot write to run_dir {run.path}: {error.strerror or error}") from error
    return run


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a file for writing that becomes `path` only when it is complete and on disk.

    Whatever interrupts the writing, `path` holds its old content or all of the new. Raises OSError with one line
    that names `path` (a full disk, no permission), after removing the unfinished file.
    """
    path = Path(path)
    # Beside `path`, for os.replace cannot cross file systems; one fixed name, so that a killed process leaves at
    # most one stray file, which the next write replaces.
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise OSError(f"Cannot save {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def write_atomic(path: str | Path, content: str | bytes) -> None:
    """Writes `content` (text as UTF-8) to `path` in full or not at all. Errors: as `atomic_file`."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def describe_environment() -> dict[str, Any]:
    """Returns what a reader needs to judge or repeat a run: code, versions, machine, command, start time (UTC)."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "git": git_revision(Path(__file__).parent),
        "versions": {"python": platform.python_version(), **_package_versions()},
        "machine": {
            "os": f"{platform.system()} {platform.machine()}",
            "cpu": _cpu_name(),
            "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "gpus": _gpu_names(),
        },
    }


def git_revision(source_dir: Path) -> dict[str, Any] | None:
    """Returns `{"revision": ..., "dirty": ...}` of the checkout that tracks the code in `source_dir`, or None.

    None when the code is not under version control: a wheel installed inside somebody's repository is not.
    """

    def git(*args: str) -> str:
        command = ("git", "-C", str(source_dir), *args)
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if not git("ls-files", "--", "."):
            return None
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _earlier_starts(path: Path) -> list[Any]:
    try:
        return list(json.loads(path.read_text())["starts"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu_names() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
