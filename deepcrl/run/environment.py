"""What a reader needs to judge or repeat a run: code revision, versions, machine, command."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = ("deepcrl", "torch", "mujoco", "hydra-core", "numpy", "triton", "mujoco-warp", "warp-lang")
COMMAND = "DEEPCRL_COMMAND"
"""A variable of the environment: the command as it was typed, for the runs of a sweep in processes of their own."""

ENVIRONMENT = "environment.json"


def new_run_id() -> str:
    """Returns an id that no other run has."""
    return uuid.uuid4().hex[:12]


def run_id_of(run_dir: Path) -> str | None:
    """Returns the id of the run in a directory; None if it is older than these ids, or its environment.json is lost."""
    try:
        run_id = json.loads((run_dir / ENVIRONMENT).read_text())["run_id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return run_id if isinstance(run_id, str) else None


def describe_environment() -> dict[str, Any]:
    """Returns what a reader needs to judge or repeat a run: code, versions, machine, command, start time (UTC)."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": os.environ.get(COMMAND) or shlex.join(sys.argv),
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
