"""What happens to a run folder, second part: what is no file, links that lead out, checkpoints, films."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import zipfile
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import torch

from deepcrl.core.settings import flatten, updated
from tests.drill.damages import EITHER, FILES, HTML, OUT, SECRET, SHOWN, VALUES, kind


class Evaluate:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("open('canary', 'w')",)


class Touch:
    """Unpickled, it runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch canary",)


@kind(2)
def a_huge_file(rng: Random, run: Path, outside: Path) -> str:
    name = rng.choice(FILES)
    with (run / name).open("r+b") as file:
        file.truncate(20 * 2**30)  # sparse: it takes no disk
    return OUT


@kind(2)
def a_file_is_gone(rng: Random, run: Path, outside: Path) -> str:
    name = rng.choice(FILES)
    (run / name).unlink()
    return SHOWN if name == "environment.json" else OUT


@kind(6)
def no_file_at_all(rng: Random, run: Path, outside: Path) -> str:
    """A pipe, a socket, a folder, a device, or a link to one of them, where a file belongs."""
    name = rng.choice([*FILES, "play.gif", "videos/a.gif", "checkpoints", "state.pt", "meta.json"])
    if name in ("state.pt", "meta.json"):
        name = str(next((run / "checkpoints").glob("step_*")).relative_to(run) / name)
    path = run / name
    _remove(path)
    path.parent.mkdir(exist_ok=True)
    what = rng.choice(["pipe", "socket", "folder", "device", "loop", "dangling"])
    if what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        _bind(path)
    elif what == "folder":
        path.mkdir()
    elif what == "device":
        path.symlink_to(rng.choice(["/dev/zero", "/dev/stdin", "/proc/self/environ"]))
    else:
        path.symlink_to(path.name if what == "loop" else "nowhere")
    return OUT if name in ("config.yaml", "metrics.jsonl") else EITHER if name == "environment.json" else SHOWN


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _bind(path: Path) -> None:
    """By a short name: a socket's is of at most 108 bytes."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.fchdir(here)
    os.close(here)


@kind(5)
def a_link_leads_out(rng: Random, run: Path, outside: Path) -> str:
    name = rng.choice([*FILES, "play.gif", "videos/a.gif", "videos", "checkpoints", "state.pt", "meta.json", "step"])
    step = next((run / "checkpoints").glob("step_*"))
    path = {"state.pt": step / name, "meta.json": step / name, "step": step}.get(name, run / name)
    secret = outside / (name if (outside / name).exists() else "secret")
    _remove(path)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(rng.choice([secret, Path(os.path.relpath(secret, path.parent))]))
    return OUT if name in FILES else SHOWN


@kind(2)
def a_link_to_a_run(rng: Random, run: Path, outside: Path) -> str:
    shutil.rmtree(run)
    run.symlink_to(rng.choice([outside, run.parent, Path("/"), run.parent / "healthy_0", run]))
    return EITHER


@kind(5)
def a_checkpoint(rng: Random, run: Path, outside: Path) -> str:
    step = next((run / "checkpoints").glob("step_*"))
    state, meta = step / "state.pt", json.loads((step / "meta.json").read_text())
    evil = rng.choice([Touch(), Evaluate(), {"config": Touch()}, {"config": {}, "run": [Evaluate()]}])
    what = rng.choice(["pickle", "torch", "zip", "cut", "meta", "content", "name", "swap"])
    if what == "pickle":
        state.write_bytes(pickle.dumps(evil, protocol=rng.choice([0, 2, 4])))
    elif what == "torch":
        torch.save(evil, state, _use_new_zipfile_serialization=rng.random() < 0.5)
    elif what == "zip":
        with zipfile.ZipFile(state, "w") as archive:
            archive.writestr("state/data.pkl", pickle.dumps(evil, protocol=2))
            archive.writestr("state/version", "3\n")
    elif what == "cut":
        state.write_bytes(state.read_bytes()[: rng.choice([0, 10, 1000])])
    elif what == "content":
        content = torch.load(state, weights_only=True)
        key = rng.choice([*flatten(content["config"]), "encoder.depth", "encoder.width", "episode_length"])
        large = {"encoder.width": 32_768, "encoder.depth": 8000, "agent.num_critics": 1000, "episode_length": 10**9}
        changes = rng.choice([{key: rng.choice(VALUES)}, dict([rng.choice(list(large.items()))])])
        change = rng.choice([{"config": updated(content["config"], changes)}, {"run": 3}, {"config": []}])
        torch.save(content | change, state)
    elif what == "name":
        step = step.rename(
            step.with_name(rng.choice(["step_" + "9" * 200 + "_1", "step_1_1_1", "step_x_y", "step_٣_١"]))
        )
    elif what == "swap":
        shutil.copytree(step, step.with_name("step_9999999999999_99999999999"))
    if what == "meta":
        meta[rng.choice(list(meta))] = rng.choice(VALUES)
    elif what not in ("cut", "swap", "name"):
        meta["sha256"] = sha256(state.read_bytes()).hexdigest()
    (step / "meta.json").write_bytes(json.dumps(meta).encode())
    return SHOWN


@kind(2)
def a_film(rng: Random, run: Path, outside: Path) -> str:
    path = run / rng.choice(
        ["play.gif", "videos/a.gif", f"{rng.choice(HTML).replace('/', '')}.gif", "a\nb.gif", "\udcff.gif"]
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(rng.choice([b"", b"GIF89a", b"<svg onload=alert(1)>", b"\x00" * 7_000_000, SECRET[:5].encode()]))
    return SHOWN
