"""The view for people: a live progress display on a terminal, plain lines elsewhere; single lines, and a table."""

from __future__ import annotations

import errno
import math
from collections import deque
from collections.abc import Iterable, Mapping

from rich.console import Console as RichConsole
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deepcrl.core.pipes import discard_output

GROUPS = ("eval", "critic", "actor", "train", "buffer", "env")
HEADLINES = (
    "eval/time_at_goal",
    "eval/success_any",
    "eval/final_distance",
    "critic/loss",
    "critic/categorical_accuracy",
)
MAX_BAR_WIDTH = 100


class Terminal(RichConsole):
    """Where a run prints. When nobody reads it any longer (`| head`), the run goes on, and is on disk."""

    def on_broken_pipe(self) -> None:
        """Called by rich, which would end the run here, unsaved."""
        self.quiet = True
        discard_output()


def print_line(terminal: RichConsole, line: str) -> None:
    """Prints a line unwrapped and without markup: a path in it is to be copied. A closed terminal is no error."""
    try:
        terminal.print(line, soft_wrap=True, markup=False)
    except OSError as error:
        if error.errno != errno.EIO:  # what a closed terminal answers; the run is to be saved and drawn all the same
            raise


def print_table(terminal: RichConsole, rows: Iterable[tuple[str, str, str]]) -> None:
    """Prints (name, number, text): numbers under each other; a row without a number is a line of its own."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name, number, text in rows:
        if name and not number:
            print_line(terminal, f"{name:<16}{text}")
        else:
            table.add_row(name, number, text)
    terminal.print(table)


class Console:
    """Shows how far a run is, how fast, and how well. `counter` is what `total_steps` counts: env_steps or grad_steps.

    On a terminal it keeps a live display; elsewhere (a file, CI) it prints a line for each evaluation, and
    otherwise at most one every `every_seconds`. Speeds are measured over the last `window_seconds`. Both are
    seconds of the rows' own `wall_seconds`. Use it as a context manager, or `close` it: the live display hides
    the cursor.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        counter: str = "env_steps",
        title: str = "",
        console: RichConsole | None = None,
        every_seconds: float = 5.0,
        window_seconds: float = 30.0,
    ) -> None:
        self._total, self._counter = total_steps, counter
        self._title = title
        self._console = console or RichConsole(highlight=False)
        self._every_seconds = every_seconds
        self._window_seconds = window_seconds
        self._recent: deque[tuple[float, float, float]] = deque()
        self._latest: dict[str, float] = {}
        self._eval_steps = 0.0
        self._line_at = -math.inf
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=4)
            self._live.start()

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def print(self, message: str) -> None:
        """Prints a line that stays, above the live display."""
        self._console.print(Text(message))

    def log(self, row: Mapping[str, float]) -> None:
        """Takes a row of metrics, or the three counters alone; cheap enough for every iteration."""
        # Replaced, never changed in place: the live display reads it from its own thread.
        self._latest = {**self._latest, **row}
        now = row["wall_seconds"]
        self._recent.append((now, row["env_steps"], row["grad_steps"]))
        while len(self._recent) > 2 and now - self._recent[1][0] >= self._window_seconds:
            self._recent.popleft()
        evaluated = any(key.startswith("eval/") for key in row)
        if evaluated:
            self._eval_steps = row[self._counter]
        if self._live is None and (evaluated or now - self._line_at >= self._every_seconds):
            self._print_line(evaluated=evaluated)

    def close(self) -> None:
        """Shows the last state once more and gives the terminal back. Calling it again changes nothing."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._latest and self._latest["wall_seconds"] > self._line_at:
            self._print_line()
        self._latest = {}

    def speeds(self) -> tuple[float, float]:
        """Returns environment steps and gradient steps per second over the recent window; NaN before two rows."""
        if len(self._recent) < 2 or self._recent[-1][0] <= self._recent[0][0]:
            return math.nan, math.nan
        (start, first_env, first_grad), (end, last_env, last_grad) = self._recent[0], self._recent[-1]
        return (last_env - first_env) / (end - start), (last_grad - first_grad) / (end - start)

    def _progress(self) -> list[str]:
        row, name = self._latest, self._counter.replace("_", " ")
        env_speed, grad_speed = self.speeds()
        counted = env_speed if self._counter == "env_steps" else grad_speed
        left = (self._total - row[self._counter]) / counted if counted > 0 else math.nan
        return [
            f"{format_steps(row[self._counter])} / {format_steps(self._total)} {name}",
            *([f"{_speed(counted)} env steps/s"] if self._counter == "env_steps" else []),
            f"{_speed(grad_speed)} grad steps/s",
            f"elapsed {format_duration(row['wall_seconds'])}",
            f"left {format_duration(left)}",
        ]

    def _print_line(self, *, evaluated: bool = False) -> None:
        self._line_at = self._latest["wall_seconds"]
        # A score stands in the line of its own evaluation only: repeated, it would look like a new one.
        keys = [key for key in HEADLINES if key in self._latest and (evaluated or not key.startswith("eval/"))]
        metrics = [f"{key.partition('/')[0]} {_format_metric(key, self._latest)}" for key in keys]
        parts = [f"{self._fraction():4.0%}", *self._progress(), *metrics]
        # soft_wrap: a log file has no width, and one row must stay one line for grep.
        self._console.print(Text(" | ".join(parts)), soft_wrap=True)

    def _fraction(self) -> float:
        return min(self._latest[self._counter] / max(self._total, 1), 1.0)

    def _render(self) -> Table:
        latest = self._latest
        grid = Table.grid()
        if not latest:
            grid.add_row(_line(self._title, ["starting"]))
            return grid
        steps, *speeds = self._progress()
        grid.add_row(_line(self._title, [f"{self._fraction():.0%}", steps]))
        grid.add_row(ProgressBar(completed=100 * self._fraction(), width=min(self._console.width, MAX_BAR_WIDTH)))
        grid.add_row(_line("speed", speeds))
        for group in GROUPS:
            keys = [key for key in latest if key.startswith(f"{group}/") and not key.endswith("_stderr")]
            if keys:
                label = f"eval @ {format_steps(self._eval_steps)}" if group == "eval" else group
                grid.add_row(_line(label, [_format_metric(key, latest) for key in keys]))
        return grid


def _line(label: str, parts: Iterable[str]) -> Text:
    # One row however narrow the terminal: a live display that wraps flickers, one that overflows scrolls.
    text = Text(f"{label:<12} ", style="bold cyan", no_wrap=True, overflow="ellipsis")
    text.append("   ".join(parts), style="default not bold")
    return text


def _format_metric(key: str, row: Mapping[str, float]) -> str:
    name = key.partition("/")[2].replace("_", " ")
    stderr = row.get(f"{key}_stderr")
    return f"{name} {format_number(row[key])}" + (f" ± {format_number(stderr)}" if stderr is not None else "")


def _speed(per_second: float) -> str:
    return "-" if math.isnan(per_second) else f"{per_second:,.{0 if per_second >= 100 else 1}f}"


def format_number(value: float) -> str:
    """Returns a number short enough to read at a glance: 12,345 or 51.2 or 0.000123."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def format_steps(steps: float) -> str:
    """Returns a step count with its unit: 950, 12.5k, 1.2M."""
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(steps) >= size:
            return f"{steps / size:.4g}{suffix}"
    return f"{steps:.0f}"


def format_duration(seconds: float) -> str:
    """Returns seconds as 1:02:03 or 2:03, and - if unknown."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
