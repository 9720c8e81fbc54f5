"""`deepcrl list`, `--help`, `--version`, `python -m deepcrl`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deepcrl import __version__
from deepcrl.cli.list import families
from deepcrl.core.components import ENVS, LOSSES, REGISTRIES


def test_kinds_and_their_names(deepcrl) -> None:
    result = deepcrl("list")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 100
    titles = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert titles == [*REGISTRIES]
    shown = {kind: words.replace(",", " ").split() for kind, words in by_kind(lines).items()}
    assert shown["losses"] == list(LOSSES)
    assert any(line.split()[0] == "gymnasium" for line in lines)
    assert sorted(name for names in families(ENVS).values() for name in names) == sorted(ENVS)


def by_kind(lines: list[str]) -> dict[str, str]:
    """Joins the lines of each kind."""
    found: dict[str, str] = {}
    for line in lines:
        if not line.startswith(" "):
            kind, _, line = line.partition(" ")
            found[kind] = ""
        found[[*found][-1]] += " " + line
    return found


def test_a_kind_may_be_one_of_its_kind(deepcrl) -> None:
    for one, many in (("env", "envs"), ("loss", "losses"), ("energy", "energies")):
        assert deepcrl("list", one).out == deepcrl("list", many).out


def test_each_component_with_its_hyperparameters(deepcrl) -> None:
    lines = deepcrl("list", "losses", "energies").out.splitlines()
    at = lines.index("loss=infonce")
    assert lines[at + 1].strip().startswith("Classify each row's goal among all goals of the batch")
    assert lines[at + 2].strip() == "loss.logsumexp_coef: float = 0.1"
    assert "energy=norm" in lines


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_every_component_says_what_it_is(deepcrl, kind: str) -> None:
    out = deepcrl("list", kind).out
    assert "(no docstring)" not in out
    for name in REGISTRIES[kind]:
        assert f"{REGISTRIES[kind].kind}={name}\n" in out


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_usage_names_every_verb(deepcrl, arguments: tuple[str, ...]) -> None:
    result = deepcrl(*arguments)
    assert result.code == 0
    assert "usage: deepcrl VERB" in result.out
    assert all(f"\n  {verb} " in result.out for verb in ("train", "eval", "play", "export", "list", "bench"))


@pytest.mark.parametrize("verb", ["eval", "play", "export", "list", "bench"])
def test_every_verb_has_help(deepcrl, verb: str) -> None:
    result = deepcrl(verb, "--help")
    assert result.code == 0
    assert f"usage: deepcrl {verb}" in result.out


def test_version(deepcrl) -> None:
    assert deepcrl("--version").out == f"{__version__}\n"


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "deepcrl", "list"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("envs ")


def test_a_reader_that_has_had_enough_is_no_error(process) -> None:
    del process
    command = f"{sys.executable} -m deepcrl train --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.returncode in (0, 141)
