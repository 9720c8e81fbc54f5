"""Words of printed commands, as a shell and Hydra read them; what the commands do: test_printed_commands.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from deepcrl.cli.hydra.paths import quoted
from deepcrl.run.hints import setting

SHELL = 'deepcrl() { printf "%s\\0" "$@"; }; '


def words(line: str) -> list[str]:
    """The arguments that a shell gives deepcrl; it fails for anything else on the line."""
    read = subprocess.run(["bash", "-ec", SHELL + line], capture_output=True, text=True, check=True)
    return read.stdout.split("\0")[:-1]


@pytest.mark.parametrize("name", ["~x", "-x", "'x'", "it's", "$HOME", "`ls`", "a\\b"])
def test_a_name_that_would_be_read_as_something_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (override,) = quoted(words(f"deepcrl {setting('resume', name)}"), sweep=False)
    where = OverridesParser.create().parse_override(override).value()
    assert isinstance(where, str)
    assert Path(where) == Path(name)


def test_of_the_gymnasium_env() -> None:
    """A name alone is not the task: `env=gymnasium` needs its id, and kwargs."""
    from deepcrl.cli.export import learn_command
    from deepcrl.cli.hydra.compose import compose_values
    from deepcrl.training.config import RunConfig

    chosen = ["env=gymnasium", "env.id=CartPole-v1", "env.goal_indices=[0,1]", "env.kwargs.note=it's a b"]
    config = RunConfig.from_dict(compose_values([*chosen[:-1], '++env.kwargs.note="it\'s a b"']))
    assert words(learn_command(config, "x.npz")) == [
        *("train", "env=gymnasium", "env.id=CartPole-v1", "env.kwargs.note='it\\'s a b'"),
        *("env.goal_indices=[0,1]", "buffer=dataset", "buffer.path=x.npz"),
    ]
