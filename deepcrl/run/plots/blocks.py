"""The residual stream and the gradients of deep networks, block by block (paper, Fig. 17), as a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import read_rows
from deepcrl.run.plots.style import COLORS, STYLE, save_png
from deepcrl.training.block_norms import last_blocks

PANELS = {
    "stream_rms": ("Residual stream", "root mean square"),
    "residual_norm": ("What a block adds", "norm"),
    "gradient_norm": ("Gradient of a block's weights", "norm"),
}
LINES = ("-", "--", ":", "-.")


def plot_blocks(run_dirs: Mapping[str, str | Path], path: str | Path) -> Path | None:
    """Draws what runs with `log_blocks=true` logged last into the PNG `path`: a colour per network, a line per run.

    `run_dirs` are labelled; one alone needs no label. Returns None, having drawn nothing, if no run logged blocks.
    """
    runs = {label: last_blocks(_rows(RunDir(Path(run)))) for label, run in run_dirs.items()}
    networks = sorted({network for blocks in runs.values() for network, _ in blocks})
    if not networks:
        return None
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colors = dict(zip(networks, cycle(COLORS), strict=False))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13.0, 3.6), layout="constrained")
        for ax, (statistic, (title, unit)) in zip(figure.subplots(1, 3), PANELS.items(), strict=True):
            for (label, blocks), line in zip(runs.items(), cycle(LINES), strict=False):
                for network in networks:
                    values = blocks.get((network, statistic), [])
                    ax.plot(values, line, color=colors[network], linewidth=1.6, label=f"{network} {label}".strip())
            ax.set_yscale("log", nonpositive="clip")
            ax.set_title(title, loc="left", size=10, weight="bold")
            ax.set_ylabel(unit, size=8)
            ax.set_xlabel("block")
        figure.axes[0].legend(loc="best")
        save_png(figure, Path(path))
    return Path(path)


def _rows(run: RunDir) -> list[dict[str, float]]:
    return read_rows(run.metrics_path)[0] if run.metrics_path.exists() else []
