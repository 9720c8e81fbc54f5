import pytest

from deepcrl.run.plots.style import format_axes


def test_axis_of_a_score_that_is_still_zero() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    ax.plot([0, 1], [0.0, 0.0])
    format_axes(ax, (0, None))
    assert ax.get_ylim() == pytest.approx((-0.03, 1.03))
