"""Every command that deepcrl prints can be pasted: read by a shell as printed, in a folder with an unusual name."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from deepcrl.cli.hydra.paths import quoted
from deepcrl.run import checkpoint
from deepcrl.run.hints import setting

FOLDER = "a b=c[d"
RUN, SWEEP = "r s=t[u]", "s/a=b (c)"
SHELL = 'deepcrl() { printf "%s\\0" "$@"; }; '


def words(line: str) -> list[str]:
    """The arguments that a shell gives deepcrl; it fails for anything else on the line."""
    read = subprocess.run(["bash", "-ec", SHELL + line], capture_output=True, text=True, check=True)
    return read.stdout.split("\0")[:-1]


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, text
    return match[1]


@pytest.fixture
def made(deepcrl, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a folder with an unusual name: types commands there, and a function for the settings of a short run."""
    (tmp_path / FOLDER).mkdir()
    monkeypatch.chdir(tmp_path / FOLDER)
    short = [word for word in tiny if not word.startswith(("total_env", "eval_every"))]
    return lambda *arguments: deepcrl(*arguments), [*short, "total_env_steps=100", "eval_every=100"]


def test_of_a_run(made) -> None:
    """resume, the clash of two runs, the checkpoint's hint, export and what learns from it, environment.json."""
    run, short = made
    trained = run("train", *short, "env.cell_size=3", f"run_dir={RUN}")
    go_on = found(r"go on with: (deepcrl train .+)$", trained.out)
    assert words(go_on) == ["train", f"resume={RUN}"]
    assert run(*words(go_on)).code == 0
    clash = found(r"go on with it by (.+), or choose", run("train", *short, f"run_dir={RUN}").error)
    assert words(f"deepcrl train {clash}") == words(go_on)

    exported = run("export", RUN, "x y=z.npz")
    learn = words(found(r"learn from it: (deepcrl .+)$", exported.out))
    assert learn == [
        *("train", "env=point_u_maze", "env.cell_size=3.0", "episode_length=20"),
        *("buffer=dataset", "buffer.path=x y=z.npz"),
    ]
    common = [word for word in short if not word.startswith(("buffer.", "episode_length", "env="))]
    assert run(*learn, *common, "total_grad_steps=4", "eval_every=4", "run_dir=offline").code == 0
    assert "cell_size: 3.0\n" in Path("offline/config.yaml").read_text()

    typed = json.loads(Path(RUN, "environment.json").read_text())["starts"][0]["command"]
    assert words(typed)[0] == "train"
    assert words(typed)[-1] == f"run_dir={RUN}"

    kept = checkpoint.find(RUN).path
    (kept / "state.pt").write_bytes(b"")
    copy = kept.with_name("step_0000000000010_00000000000")
    copy.mkdir()
    error = run("eval", RUN, "num_eval_envs=1").error
    assert words(f"deepcrl train {found(r'try (.+)$', error)}") == ["train", f"resume={copy}"]


def test_of_a_sweep(made) -> None:
    """Its report, the command that goes on, a sweep taken for a run, a run_dir that should be a sweep's."""
    run, short = made
    result = run("train", *short, "-m", "encoder.depth=4,6", f"hydra.sweep.dir={SWEEP}")
    assert result.code == 2
    again = found(r"with (.+), goes on with them$", result.err)
    assert words(f"deepcrl train {again}") == ["train", f"hydra.sweep.dir={SWEEP}"]
    mended = run("train", *short, "-m", "encoder.depth=4", "encoder.depth=4,8", *words(f"deepcrl {again}"))
    assert mended.code == 2  # the one with depth 6 is still there
    (Path(SWEEP) / "encoder.depth=6" / "error.txt").unlink()
    (Path(SWEEP) / "encoder.depth=6").rmdir()
    mended = run("train", *short, "-m", "encoder.depth=4,8", *words(f"deepcrl {again}"))
    compare = words(found(r"Compare them: (deepcrl .+)$", mended.out))
    assert compare == ["report", SWEEP]
    assert run(*compare, "--no-maps").code == 0
    one = found(r"go on with: (deepcrl train .+)$", mended.out + result.out)
    assert words(one) == ["train", f"resume={Path(SWEEP).resolve() / 'encoder.depth=4'}"]
    assert run(*words(one)).code == 0
    told = found(r"if given (.+)$", run("train", f"resume={SWEEP}").error)
    assert words(f"deepcrl train {told}") == ["train", f"hydra.sweep.dir={SWEEP}"]
    told = found(r"for a sweep use (.+)$", run("train", "-m", "seed=0,1", f"run_dir={SWEEP}").error)
    assert words(f"deepcrl train {told}") == ["train", f"hydra.sweep.dir={SWEEP}"]


@pytest.mark.parametrize("name", ["~x", "-x", "'x'", "it's", "$HOME", "`ls`", "a\\b"])
def test_a_name_that_would_be_read_as_something_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (override,) = quoted(words(f"deepcrl {setting('resume', name)}"), sweep=False)
    where = OverridesParser.create().parse_override(override).value()
    assert isinstance(where, str)
    assert Path(where) == Path(name)


def test_of_the_usage(made) -> None:
    run, _ = made
    assert words(found(r"first run: +(deepcrl .+)$", run("--help").out)) == ["train", "experiment=first_light"]


def test_of_the_gymnasium_env() -> None:
    """A name alone is not the task: `env=gymnasium` needs its id, and kwargs."""
    from deepcrl.cli.export import learn_command
    from deepcrl.cli.hydra.compose import compose_values
    from deepcrl.train.config import RunConfig

    chosen = ["env=gymnasium", "env.id=CartPole-v1", "env.goal_indices=[0,1]", "env.kwargs.note=it's a b"]
    config = RunConfig.from_dict(compose_values([*chosen[:-1], '++env.kwargs.note="it\'s a b"']))
    assert words(learn_command(config, "x.npz")) == [
        *("train", "env=gymnasium", "env.id=CartPole-v1", "env.kwargs.note='it\\'s a b'"),
        *("env.goal_indices=[0,1]", "buffer=dataset", "buffer.path=x.npz"),
    ]
