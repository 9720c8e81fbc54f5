"""Mistakes beside those of `train`: one line that names them, exit status 2."""

from __future__ import annotations

import shlex

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "trian",
            "Unknown verb 'trian'. Did you mean 'train'? Known: bench, collect, doctor, eval, export, list, ",
        ),
        ("list losse", "Unknown kind 'losse'. Did you mean 'losses'? Known: agents, buffers, "),
        ("bench trian", "Unknown benchmark 'trian'. Did you mean 'train'? Known: "),
        ("eval", "the following arguments are required: run_dir, overrides (deepcrl eval --help shows the usage)"),
        ("play run --tils 3", "unrecognized arguments: --tils 3 (deepcrl play --help shows the usage)"),
        (
            "play run --tiles many",
            "argument --tiles: a whole number of at least 1 is needed, got 'many' (deepcrl play --help",
        ),
        *((f"{verb} ''", "argument run_dir: '' names nothing: give a path") for verb in ("eval", "export")),
        ("play ''", "'' names nothing: give a path (is a shell variable not set?)"),
        ("report ''", "argument PATH: '' names nothing: give a path"),
        ("export run out=", "argument FILE.npz: '' names nothing: give a path"),
        (
            "collect a.npz env=reacher",
            "policy=walker walks in point mazes only, such as ",
        ),
        ("collect a.csv env=point_u_maze", "A dataset in OGBench's layout is an .npz file, got a.csv"),
        (
            "collect a.npz env=point_u_maze --policy walk",
            "Unknown policy 'walk'. Did you mean 'walker'?",
        ),
        ("collect a.npz env=point_u_maze --noise -1", "noise must be at least 0, got -1.0"),
        (
            "collect a.npz env=point_u_maze --seeds 2",
            "--seeds writes several files: put {seed} into the name",
        ),
        (
            "collect a.npz env=point_u_maze encoder.depth=8",
            "Unknown setting of an evaluation 'encoder.depth'.",
        ),
        ("collect a.npz", "without a run, env=NAME says where to play, see `deepcrl list envs`"),
        ("play 'a\nb' --x", "unrecognized arguments: --x"),
        ("list 'a\x1bb'", "Unknown kind 'a\\x1bb'. Known: "),
        ("eval 'a\x1bb'", "There is no checkpoint to read: a\\x1bb does not exist"),
        (f"eval {'x/' * 3000}", f"[Errno 36] File name too long: '{'x/' * 149}x..."),
        ("eval nowhere", "There is no checkpoint to read: nowhere does not exist"),
        ("play nowhere", "There is no checkpoint to read: nowhere does not exist"),
    ],
)
def test_the_other_verbs_refuse(deepcrl, arguments: str, message: str) -> None:
    assert deepcrl(*shlex.split(arguments)).error.startswith(message)
