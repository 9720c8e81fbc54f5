import io
import math
from typing import Any

import pytest
from rich.console import Console as RichConsole

from deepcrl.run.console import Console, format_duration, format_number, format_steps


def row(step: int, **metrics: float) -> dict[str, float]:
    """Returns a row of a run that does 1000 env steps and 40 gradient steps a second."""
    return {"env_steps": 1000 * step, "grad_steps": 40 * step, "wall_seconds": float(step), **metrics}


EVAL = {"eval/time_at_goal": 512.4, "eval/time_at_goal_stderr": 31.25, "eval/success_any": 0.87}


def plain(**options: Any) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    rich = RichConsole(file=out, force_terminal=False, width=80)
    return Console(100_000, title="point_u_maze", console=rich, **options), out


def terminal(width: int) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    rich = RichConsole(file=out, force_terminal=True, width=width, height=24, _environ={"TERM": "xterm"})
    return Console(100_000, title="point_u_maze", console=rich), out


def test_plain_lines_come_every_few_seconds_of_the_run() -> None:
    console, out = plain(every_seconds=5.0)
    for step in range(1, 12):
        console.log(row(step))
    assert [line.split("|")[0].strip() for line in out.getvalue().splitlines()] == ["1%", "6%", "11%"]
    console.close()
    assert len(out.getvalue().splitlines()) == 3  # the last row is shown already


def test_plain_line_says_speed_time_left_and_scores() -> None:
    console, out = plain()
    console.log(row(1))
    console.log(row(50, **EVAL, **{"critic/categorical_accuracy": 0.4321}))
    line = out.getvalue().splitlines()[-1]
    assert line == (
        " 50% | 50k / 100k env steps | 1,000 env steps/s | 40.0 grad steps/s | elapsed 0:50 | left 0:50"
        " | eval time at goal 512 ± 31.2 | eval success any 0.87 | critic categorical accuracy 0.432"
    )
    assert "\x1b" not in out.getvalue()


def test_an_offline_run_shows_gradient_steps_only() -> None:
    console, out = plain(counter="grad_steps")
    for step in (1, 500):
        console.log(row(step, **EVAL) | {"env_steps": 0})
    assert (
        out.getvalue()
        .splitlines()[-1]
        .startswith(" 20% | 20k / 100k grad steps | 40.0 grad steps/s | elapsed 8:20 | left 33:20 | eval time at goal")
    )


def test_a_score_is_not_repeated_as_if_it_were_new() -> None:
    console, out = plain(every_seconds=1.0)
    console.log(row(1, **EVAL))
    console.log(row(2, **{"critic/loss": 1.5}))
    first, second = out.getvalue().splitlines()
    assert "time at goal" in first
    assert "time at goal" not in second
    assert "critic loss 1.5" in second


def test_closing_shows_the_last_row_once() -> None:
    with plain(every_seconds=100.0)[0] as console:
        console.log(row(1))
        out = console._console.file
        console.log(row(2))
        assert isinstance(out, io.StringIO)
        assert len(out.getvalue().splitlines()) == 1
    console.close()
    assert out.getvalue().splitlines()[-1].startswith("  2%")
    assert len(out.getvalue().splitlines()) == 2


def test_speeds_are_those_of_the_recent_window() -> None:
    console, _ = plain(window_seconds=10.0)
    assert all(math.isnan(speed) for speed in console.speeds())
    for step in range(100):
        console.log(row(step))
    assert console.speeds() == pytest.approx((1000.0, 40.0))
    for step in range(1, 11):  # ten times slower from now on
        console.log({"env_steps": 99_000 + 100 * step, "grad_steps": 3960 + 4 * step, "wall_seconds": 99.0 + step})
    assert console.speeds() == pytest.approx((100.0, 4.0))


def test_a_resumed_run_counts_only_its_own_steps() -> None:
    console, _ = plain()
    console.log(row(50))
    console.log(row(52))
    assert console.speeds() == pytest.approx((1000.0, 40.0))


def test_two_rows_at_the_same_instant() -> None:
    console, out = plain()
    console.log(row(1))
    console.log(row(1, **EVAL))
    assert "left -" in out.getvalue()


@pytest.mark.parametrize("width", [1, 2, 5, 20, 80, 250])
def test_live_display_fits_any_width(width: int) -> None:
    console, out = terminal(width)
    with console:
        for step in range(1, 40):
            console.log(row(step, **EVAL, **{"critic/loss": math.nan, "actor/loss": -1e9}))
        grid = console._render()
        lines = console._console.render_lines(grid, pad=False)
        assert len(lines) == 6  # title, bar, speed, eval, critic, actor: nothing wraps
        assert all(sum(segment.cell_length for segment in line) <= width for line in lines)
    assert out.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_live_display_shows_progress_and_every_metric() -> None:
    console, out = terminal(120)
    with console:
        console.log(row(1))
        console.log(row(25, **EVAL, **{"critic/a_new_metric": 3.0}))
        console.print("checkpoint saved")
    text = out.getvalue()
    for expected in ("25k / 100k env steps", "25%", "left 1:15", "eval @ 25k", "512 ± 31.2", "a new metric 3"):
        assert expected in text
    assert "checkpoint saved" in text


def test_live_display_is_taken_down_by_an_error() -> None:
    console, out = terminal(80)
    with pytest.raises(RuntimeError), console:
        raise RuntimeError
    assert out.getvalue().endswith("\x1b[?25h")


def test_no_live_display_on_a_dumb_terminal() -> None:
    out = io.StringIO()
    console = Console(10, console=RichConsole(file=out, force_terminal=True, _environ={"TERM": "dumb"}))
    console.log(row(1))
    console.close()
    assert "\x1b[?25" not in out.getvalue()


def test_zero_total_does_not_crash() -> None:
    console = Console(0, console=RichConsole(file=io.StringIO(), force_terminal=False))
    console.log(row(0))
    console.close()


def test_formats() -> None:
    assert [format_number(v) for v in (0.0, 51.234, 12345.6, 1.23e-4, math.nan)] == [
        "0",
        "51.2",
        "12,346",
        "0.000123",
        "nan",
    ]
    assert [format_steps(v) for v in (0, 950, 12_500, 1_200_000, 3e9)] == ["0", "950", "12.5k", "1.2M", "3B"]
    assert [format_duration(v) for v in (0, 59.6, 3723, math.nan, math.inf)] == ["0:00", "1:00", "1:02:03", "-", "-"]
