"""Figures show the numbers they were given; matplotlib's global state stays untouched."""

from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from bertft_helpers import plots


def written(figure: Figure) -> list[str]:
    """The texts inside the first axes, such as numbers beside bars."""
    return [text.get_text() for text in figure.axes[0].texts]


def test_lines_draw_the_given_points_under_their_names() -> None:
    figure = plots.lines({"train": ([1, 2], [0.9, 0.4]), "validation": ([1, 2], [1.0, 0.7])}, "Loss", "epoch", "nats")
    (axes,) = figure.axes
    points = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert points == {"train": [[1, 0.9], [2, 0.4]], "validation": [[1, 1.0], [2, 0.7]]}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "validation"]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("Loss", "epoch", "nats")


def test_one_line_needs_no_legend() -> None:
    assert plots.lines({"": ([1, 2], [3, 4])}, "", "", "").axes[0].get_legend() is None


def test_neighbouring_lines_differ_in_colour_and_marker() -> None:
    figure = plots.lines({str(number): ([1], [number]) for number in range(8)}, "", "", "")
    looks = {(to_hex(line.get_color()), line.get_marker()) for line in figure.axes[0].lines}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 8


def test_bars_have_the_given_lengths_and_write_them_down_in_reading_order() -> None:
    figure = plots.bars({"embeddings": 11_720_448, "layers": 10_646_784}, "Parameters", "count")
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [11_720_448, 10_646_784]
    assert written(figure) == ["11,720,448", "10,646,784"]
    assert axes.yaxis_inverted()  # the first name stands on top


def test_a_histogram_counts_each_group_in_the_same_bins() -> None:
    figure = plots.histogram({"head": [1, 1, 2], "story": [2, 2]}, [0.5, 1.5, 2.5], "Length", "tokens", "texts")
    outlines = [patch.get_path().vertices[:, 1].max() for patch in figure.axes[0].patches]
    assert outlines == [2, 2]
    assert len(figure.axes[0].get_legend().get_texts()) == 2


def test_scatter_puts_each_group_at_its_points() -> None:
    figure = plots.scatter({"a": ([0, 1], [2, 3]), "b": ([5], [6])}, "", "x", "y")
    assert [group.get_offsets().tolist() for group in figure.axes[0].collections] == [[[0, 2], [1, 3]], [[5, 6]]]


def test_a_heatmap_writes_its_numbers_where_they_belong_and_light_on_dark() -> None:
    figure = plots.heatmap([[0.0, 1.0], [0.25, 0.5]], ["r0", "r1"], ["c0", "c1"], "", "column", "row")
    cells = {text.get_position(): (text.get_text(), text.get_color()) for text in figure.axes[0].texts}
    assert cells[1, 0] == ("1.00", "white")  # column 1, row 0
    assert cells[0, 1] == ("0.25", "black")
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["r0", "r1"]


def test_a_large_heatmap_shows_colours_alone() -> None:
    names = [str(number) for number in range(13)]
    assert written(plots.heatmap(np.zeros((13, 13)), names, names, "", "", "")) == []


def test_an_interval_spans_from_low_to_high_around_its_estimate() -> None:
    figure = plots.intervals({"BERT": (0.9, 0.87, 0.93), "TF-IDF": (0.78, 0.74, 0.82)}, "", "accuracy")
    spans = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert [list(span) for span in spans] == [[0.87, 0.93], [0.74, 0.82]]
    assert written(figure) == ["0.90", "0.78"]


def test_a_band_has_the_colour_of_its_line() -> None:
    figure, (axes,) = plots.canvas()
    plots.band(axes, [0, 1], [0.1, 0.2], [0.3, 0.4], number=2)
    (area,) = axes.collections
    assert to_hex(area.get_facecolor()[0]) == plots.COLOURS[2].lower()
    assert (figure.axes[0].dataLim.y0, figure.axes[0].dataLim.y1) == (0.1, 0.4)


def test_learning_curves_show_accuracy_on_the_whole_scale() -> None:
    history = {"train_loss": [1.2, 0.5], "validation_loss": [1.0, 0.6], "validation_accuracy": [0.8, 0.9]}
    losses, accuracy = plots.learning_curves(history, "Run").axes
    assert [line.get_ydata().tolist() for line in losses.lines] == [[1.2, 0.5], [1.0, 0.6]]
    assert accuracy.lines[0].get_xydata().tolist() == [[1, 0.8], [2, 0.9]]
    assert accuracy.get_ylim() == (0, 1)


def test_drawing_changes_no_global_setting_and_opens_no_window() -> None:
    before = dict(mpl.rcParams)
    plots.lines({"": ([1, 2], [3, 4])}, "", "", "")
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("columns", [1, 3])
def test_a_canvas_grows_with_its_columns(columns: int) -> None:
    figure, axes = plots.canvas(columns, width=4.0, height=3.0)
    assert len(axes) == columns
    assert figure.get_size_inches().tolist() == [4.0 * columns, 3.0]
