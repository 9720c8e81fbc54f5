"""What `deepcrl doctor` says of this machine, and of one where things are missing."""

from __future__ import annotations

import pytest
import torch

from deepcrl.cli import doctor
from deepcrl.kernels.native import build
from deepcrl.version import __version__


def test_one_block_with_what_a_bug_report_needs(deepcrl) -> None:
    result = deepcrl("doctor")
    assert (result.code, result.err) == (0, "")
    lines = {line[: doctor.WIDTH].strip(): line[doctor.WIDTH :] for line in result.out.splitlines()}
    assert lines["deepcrl"].startswith(__version__)
    assert f"torch {torch.__version__}" in lines["versions"]
    assert "cores" in lines["machine"]
    assert lines["drawing"].startswith(("works", "does not work"))
    assert lines["free disk"].endswith("GiB in this folder")
    assert {"kernels", "gpu", "extras"} <= lines.keys()


def test_what_is_missing_comes_with_its_command(deepcrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "offline", ("no_such_module.at_all", "sys"))
    monkeypatch.setattr(build, "compiler", lambda: None)
    monkeypatch.setattr(build, "processor", lambda: "flags : avx2 amx_bf16")
    out = deepcrl("doctor").out
    assert "offline is not installed: pip install 'deepcrl[offline]'\n" in out
    assert "avx2, amx_bf16; no C++ compiler, so plain PyTorch: install g++\n" in out


def test_it_takes_no_arguments(deepcrl) -> None:
    assert deepcrl("doctor", "x").error.startswith("unrecognized arguments: x")
