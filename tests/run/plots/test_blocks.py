from pathlib import Path

from PIL import Image

from deepcrl.run.directory import prepare
from deepcrl.run.metrics import JsonlLogger
from deepcrl.run.plots.blocks import plot_blocks

COUNTERS = {"env_steps": 0.0, "grad_steps": 4.0, "wall_seconds": 1.0}


def make_run(path: Path, *rows: dict[str, float]) -> Path:
    logger = JsonlLogger(prepare(path, {}, resume=False).metrics_path)
    for row in rows:
        logger.log(COUNTERS | row)
    logger.close()
    return path


def test_runs_are_told_apart(tmp_path):
    flat, grown = ({f"blocks/actor/stream_rms/{k:04}": base**k for k in range(8)} for base in (1.0, 3.0))
    runs = {"flat": make_run(tmp_path / "a", flat), "grown": make_run(tmp_path / "b", grown)}
    pictures = [plot_blocks(labelled, tmp_path / "blocks.png") for labelled in (runs, {"flat": runs["flat"]})]
    assert pictures == [tmp_path / "blocks.png"] * 2
    one = (tmp_path / "blocks.png").read_bytes()
    plot_blocks(runs, tmp_path / "blocks.png")
    assert (tmp_path / "blocks.png").read_bytes() != one
    with Image.open(tmp_path / "blocks.png") as image:
        assert image.width > 1000


def test_nothing_is_drawn_of_a_run_that_logged_no_blocks(tmp_path):
    assert plot_blocks({"": make_run(tmp_path / "run", {})}, tmp_path / "blocks.png") is None
    assert not (tmp_path / "blocks.png").exists()
