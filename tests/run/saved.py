"""Checkpoints of a small state, saved, spoilt and signed by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from deepcrl.run import checkpoint
from deepcrl.run.checkpoint import Checkpoint, CheckpointError

STATE = {"weights": torch.arange(6.0).view(2, 3), "counters": {"steps": 7}, "names": ["a", "b"], "none": None}


def save(directory: Path, step: int, state: dict[str, Any] = STATE, keep: int = 2) -> Path:
    return checkpoint.save(directory, state, env_steps=step, grad_steps=step // 10, keep=keep).path


def refuses(path: Path) -> str:
    """Returns the message, one line, with which `path` is refused."""
    with pytest.raises(CheckpointError) as raised:
        _ = Checkpoint(path).content
    assert "\n" not in str(raised.value)
    return str(raised.value)


def sign(path: Path) -> None:
    """Gives a state that was put in place by hand a digest that matches."""
    meta = json.loads((path / "meta.json").read_text())
    digest = hashlib.sha256((path / "state.pt").read_bytes()).hexdigest()
    (path / "meta.json").write_text(json.dumps(meta | {"sha256": digest}))
