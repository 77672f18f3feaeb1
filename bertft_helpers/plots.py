"""Every figure of the series: each function returns a matplotlib Figure; ``lessons.show`` displays it with alt text.

Colours are the eight of Okabe and Ito (2008), which people with the common colour-vision deficiencies can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLE: dict[Any, Any] = {  # newer matplotlib has a type of its own for the keys
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    "font.size": 11,
    "axes.titlesize": 12,
    "figure.dpi": 100,
}


def canvas(columns: int = 1, width: float = 6.4, height: float = 3.8) -> tuple[Figure, list[Axes]]:
    """An empty figure in the series' style with ``columns`` axes side by side; sizes in inches, ``width`` per axes."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width * columns, height), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Title and axis labels (with units) in one call."""
    axes.set(title=title, xlabel=x, ylabel=y)


def lines(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]], title: str, x: str, y: str, axes: Axes | None = None
) -> Figure:
    """One marked line per name in ``series``: name -> (x values, y values)."""
    axes = axes or canvas()[1][0]
    for number, (name, (across, up)) in enumerate(series.items()):
        marker = MARKERS[number % len(MARKERS)] if len(np.atleast_1d(across)) <= 40 else None
        axes.plot(across, up, marker=marker, markersize=5, label=name)
    if len(series) > 1:
        axes.legend(frameon=False)
    label(axes, title, x, y)
    return axes.figure.figure


def band(axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, number: int = 0) -> None:
    """A shaded band between ``low`` and ``high``, in the colour of line ``number``."""
    axes.fill_between(x, low, high, alpha=0.18, linewidth=0, color=COLOURS[number % len(COLOURS)])


def bars(values: Mapping[str, float], title: str, x: str, axes: Axes | None = None, form: str = "{:,.0f}") -> Figure:
    """Horizontal bars, one per name, each with its value written beside it."""
    axes = axes or canvas(height=0.42 * len(values) + 1.2)[1][0]
    drawn = axes.barh(list(values), list(values.values()), color=COLOURS[0])
    axes.bar_label(drawn, [form.format(value) for value in values.values()], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)
    label(axes, title, x, "")
    return axes.figure.figure


def histogram(
    groups: Mapping[str, ArrayLike], bins: int | Sequence[float], title: str, x: str, y: str, axes: Axes | None = None
) -> Figure:
    """Counts of values in bins, one outline per group."""
    axes = axes or canvas()[1][0]
    for number, (name, values) in enumerate(groups.items()):
        axes.hist(
            values, bins=bins, histtype="stepfilled", alpha=0.45, label=name, color=COLOURS[number % len(COLOURS)]
        )
    if len(groups) > 1:
        axes.legend(frameon=False)
    label(axes, title, x, y)
    return axes.figure.figure


def scatter(
    groups: Mapping[str, tuple[ArrayLike, ArrayLike]], title: str, x: str, y: str, axes: Axes | None = None
) -> Figure:
    """Points in the plane, one colour and marker per group: name -> (x values, y values)."""
    axes = axes or canvas(height=4.6)[1][0]
    for number, (name, (across, up)) in enumerate(groups.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.scatter(across, up, s=14, alpha=0.7, label=name, linewidths=0, color=colour, marker=marker)
    if len(groups) > 1:
        axes.legend(markerscale=1.6, frameon=False)
    label(axes, title, x, y)
    return axes.figure.figure


def heatmap(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    x: str,
    y: str,
    form: str = "{:.2f}",
    axes: Axes | None = None,
) -> Figure:
    """A table ``[rows, columns]`` as colours, dark = large; the numbers are written in when there are few cells."""
    values = np.asarray(values)
    axes = axes or canvas(width=1.1 * len(columns) ** 0.85 + 2.6, height=0.7 * len(rows) ** 0.9 + 1.6)[1][0]
    axes.imshow(values, cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=35 if max(map(len, columns)) > 4 else 0, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)
    if values.size <= 150:
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > middle else "black"
            axes.text(column, row, form.format(value), ha="center", va="center", color=colour, fontsize=9)
    label(axes, title, x, y)
    return axes.figure.figure


def intervals(
    estimates: Mapping[str, tuple[float, float, float]], title: str, x: str, axes: Axes | None = None
) -> Figure:
    """One point with its interval per name: name -> (estimate, low, high)."""
    axes = axes or canvas(height=0.5 * len(estimates) + 1.3)[1][0]
    for number, (estimate, low, high) in enumerate(estimates.values()):
        axes.plot([low, high], [number, number], color=COLOURS[0], linewidth=2)
        axes.plot(estimate, number, marker="o", color=COLOURS[0])
        axes.annotate(f"{estimate:.2f}", (estimate, number), xytext=(0, 7), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(estimates)), list(estimates))
    axes.set_ylim(len(estimates) - 0.4, -0.7)
    axes.grid(axis="y", visible=False)
    label(axes, title, x, "")
    return axes.figure.figure


def learning_curves(history: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Loss of training and validation beside validation accuracy, by epoch; the columns of ``History.frame``."""
    figure, (left, right) = canvas(columns=2, width=4.6, height=3.6)
    epochs = range(1, len(history["train_loss"]) + 1)
    losses = {"training": history["train_loss"], "validation": history["validation_loss"]}
    lines({name: (epochs, values) for name, values in losses.items()}, "", "epoch", "loss (nats)", axes=left)
    lines({"": (epochs, history["validation_accuracy"])}, "", "epoch", "validation accuracy", axes=right)
    for axes in (left, right):
        axes.set_xticks(list(epochs))
    right.set_ylim(0, 1)  # the whole scale: a narrow one would make noise look like progress
    figure.suptitle(title, fontsize=12)
    return figure
