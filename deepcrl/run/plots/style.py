"""What all pictures share: palette, look of the axes, and the writing of PNG files. matplotlib is imported on use."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepcrl.core.files import write_atomic
from deepcrl.run.console import format_number, format_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Okabe and Ito's palette: told apart with any colour vision, and in grey.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
INK = "#22262B"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#B9BEC5",
    "axes.labelcolor": "#5A6069",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E8EAED",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": "#5A6069",
    "ytick.color": "#5A6069",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.parse_math": False,  # a name may hold any characters
}
AXES = {"env_steps": "environment steps", "grad_steps": "gradient steps"}


def save_png(figure: Figure, path: Path) -> None:
    """Writes `figure` to `path`, whole or not at all, and makes the folders above it."""
    for text in _texts(figure):  # names of files need not be UTF-8, which fonts are asked for
        text.set_text(text.get_text().encode(errors="backslashreplace").decode())
    image = io.BytesIO()
    with warnings.catch_warnings():
        # A name may hold any characters, and be of any length: some are drawn as a box, and the axes may have no room
        warnings.filterwarnings("ignore", "Glyph .* missing|constrained_layout not applied")
        figure.savefig(image, format="png", dpi=140)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, image.getvalue())


def _texts(figure: Figure) -> Iterator[Text]:
    """Titles, labels and legends: what may hold a name. Ticks, of which there are many, are numbers."""
    from matplotlib.text import Text

    yield from figure.texts
    for ax in figure.axes:
        yield from (child for child in ax.get_children() if isinstance(child, Text))
        yield from (ax.xaxis.label, ax.yaxis.label)
        if legend := ax.get_legend():
            yield from legend.get_texts()


def format_axes(ax: Axes, limits: tuple[float | None, float | None]) -> None:
    """Gives the axes few round ticks, and y the `limits` that are set, with a margin."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = limits
    margin = 0.03  # so that a curve at 0 or 1 is not half hidden by the frame
    if low is not None:
        measured = ax.get_ylim()[1] if ax.dataLim.y1 > low else low + 1  # all zero: not a range of rounding errors
        top = high if high is not None else measured
        ax.set_ylim(low - margin * (top - low), top + margin * (top - low))
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: format_steps(steps)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(round(value, 9))))
