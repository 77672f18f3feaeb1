"""``report.html``: one page about a finished run, with everything in it, that prints and fits a phone.

No text of the data can act as a page: the template escapes every value, and characters that hide or turn around what a
reader sees are written out.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bertft_helpers import plots
from bertft_helpers.evaluation import Predictions
from bertft_helpers.metrics import accuracy, confusion_matrix, reliability
from bertft_helpers.own_texts.calibration import with_temperature
from bertft_helpers.own_texts.pages import render
from bertft_helpers.own_texts.prepared import PARTS, share_cut
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.scores import confident_mistakes, frequent_confusions, slices, weakest
from bertft_helpers.tables import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FILTERS",
    "LONGEST_NAME",
    "LONGEST_TEXT",
    "MOST_DRAWN",
    "Picture",
    "axis_names",
    "baselines_picture",
    "examples_of",
    "lengths_picture",
    "losses_picture",
    "picture",
    "report_page",
]

MOST_DRAWN = 20  # classes in the confusion figure; beyond that nobody can read it
LONGEST_NAME, LONGEST_TEXT = 40, 300
FILTERS: dict[str, Callable[..., str]] = {
    "name": lambda label: visible(str(label), LONGEST_NAME),
    "text": lambda value: visible(str(value), LONGEST_TEXT),
    "percent": "{:.1%}".format,
    "number": "{:,.0f}".format,
    "score": "{:.3f}".format,
}


class Picture(NamedTuple):
    """A figure as PNG in base64, and what it shows in words."""

    png: str
    alt: str


def report_page(record: TaskRecord) -> str:
    """The page as HTML, ready to be written to a file."""
    return render("report.html.j2", FILTERS, _contents(record))


def _contents(record: TaskRecord) -> dict[str, Any]:
    """Everything that the template shows, by name."""
    names = record.prepared.label_names
    test = with_temperature(record.predictions["test"], record.results["calibration"]["temperature"])
    texts = record.prepared.parts["test"]
    confusion = confusion_matrix(test.labels, test.classes, len(names))
    found = slices(texts["text"], record.prepared.lengths["test"], record.prepared.parts["train"]["text"], test)
    return {
        **record.results,
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "settings": record.settings,
        "max_length": record.max_length,
        "cut_share": share_cut(record.prepared, record.max_length),
        "unknown_share": record.prepared.unknown_share,
        "pieces_per_word": record.prepared.pieces_per_word,
        "class_counts": list(zip(names, *(record.prepared.counts(part) for part in PARTS), strict=True)),
        "slices": found,
        "weakest": weakest(found, record.results["test"]["accuracy"]),
        "confusions": [(names[i], names[j], times) for i, j, times in frequent_confusions(confusion)],
        "mistakes": [
            (texts["id"][one.row], texts["text"][one.row], names[one.label], names[one.predicted], one.probability)
            for one in confident_mistakes(test)
        ],
        "examples": examples_of(record),
        "pictures": {
            "lengths": lengths_picture(record),
            "losses": losses_picture(record),
            "accuracies": _accuracies(record),
            "confusion": _confusion(confusion, names) if len(names) <= MOST_DRAWN else None,
            "baselines": baselines_picture(record.results, "accuracy", "accuracy"),
            "calibration": _calibration(test),
        },
    }


def examples_of(record: TaskRecord) -> list[tuple[str, str, str, str]]:
    """Id, text, answer and the words that carried it, of the test texts that the page explains."""
    texts = record.prepared.parts["test"]
    return [
        (texts["id"][one["row"]], texts["text"][one["row"]], one["predicted"], one["words"])
        for one in (record.results["explained"] or {"examples": []})["examples"]
    ]


def axis_names(label_names: Sequence[str]) -> list[str]:
    """Names that a figure can draw: short, no formulas; the class's number where its letters are not in the font."""
    shown = []
    for number, name in enumerate(label_names):
        short = visible(name, 18).split(" … (")[0]
        drawable = all(" " <= character <= "ÿ" for character in short)
        shown.append(short.replace("$", r"\$") if drawable else f"class {number + 1}")
    return shown


def picture(figure: Figure, alt: str) -> Picture:
    """A figure as the pages hold it; what ``alt`` quotes from the data is made visible."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    return Picture(base64.b64encode(png.getvalue()).decode("ascii"), visible(alt, None))


def lengths_picture(record: TaskRecord) -> Picture:
    """How long the texts are, in tokens before anything is cut."""
    lengths = np.concatenate([record.prepared.lengths[part] for part in PARTS])
    least, most = int(lengths.min()), int(np.quantile(lengths, 0.99))
    bins = np.arange(least, most + 2, max(1, (most - least) // 30)) - 0.5
    figure = plots.histogram({"texts": np.minimum(lengths, bins[-1])}, bins.tolist(), "", "tokens in a text", "texts")
    return picture(
        figure,
        f"Histogram of text lengths: half of the texts have at most {np.median(lengths):.0f} tokens, "
        f"99 of 100 at most {most}; the rest is drawn in the last bar.",
    )


def losses_picture(record: TaskRecord) -> Picture:
    """Training and validation loss over the epochs."""
    frame = record.history.frame
    measured = {"training": frame["train_loss"], "validation": frame["validation_loss"]}
    figure = plots.lines({name: (frame.index, own) for name, own in measured.items()}, "", "epoch", "loss (nats)")
    told = " and ".join(f"{name} loss from {own.iloc[0]:.2f} to {own.iloc[-1]:.2f}" for name, own in measured.items())
    return picture(figure, f"Curves over {len(frame)} epochs: {told}.")


def _accuracies(record: TaskRecord) -> Picture:
    values, best = record.history.frame["validation_accuracy"], record.results["run"]["best_epoch"]
    figure = plots.lines({"": (values.index, values)}, "", "epoch", "validation accuracy")
    figure.axes[0].set_ylim(0, 1)  # the whole scale: a narrow one would make noise look like progress
    return picture(
        figure,
        f"Curve of the validation accuracy over {len(values)} epochs: from {values.iloc[0]:.3f} to its highest, "
        f"{values.max():.3f}, after epoch {best}.",
    )


def _confusion(confusion: np.ndarray, label_names: Sequence[str]) -> Picture:
    names = axis_names(label_names)
    figure = plots.heatmap(confusion, names, names, "", "predicted", "label", form="{:.0f}")
    right, total = int(np.trace(confusion)), int(confusion.sum())
    return picture(
        figure,
        f"Confusion matrix of {len(names)} classes: {right} of {total} test texts lie on the diagonal; "
        "the most frequent confusions are in the table.",
    )


def baselines_picture(results: Mapping[str, Any], score: str, called: str) -> Picture:
    """The ``score`` of each method with its interval, by its name in the results; ``called`` is what readers read."""
    rows = [("fine-tuned", results["fine_tuned"]), *((row["name"], row) for row in results["baselines"])]
    estimates = {name: (row[score], *row[f"{score}_interval"]) for name, row in rows}
    told = "; ".join(f"{name} {value:.3f} ({low:.3f} to {high:.3f})" for name, (value, low, high) in estimates.items())
    figure = plots.intervals(estimates, "", f"{called} on the test texts, with 95 % interval")
    return picture(figure, f"The {called} of each method with its 95 % interval: {told}.")


def _calibration(test: Predictions) -> Picture:
    curve = reliability(test.labels, test.probabilities)
    series: dict[str, tuple[ArrayLike, ArrayLike]] = {
        "as sure as right": ([0, 1], [0, 1]),
        "this model": (curve.confidence, curve.accuracy),
    }
    figure = plots.lines(series, "", "probability that the model gives its answer", "share that is right")
    gap = float((curve.confidence * curve.count).sum() / curve.count.sum()) - accuracy(test.labels, test.classes)
    leaning = "surer than it is right" if gap > 0 else "less sure than it could be"
    return picture(figure, f"Reliability diagram: on average the model is {leaning}, by {abs(gap):.3f}.")
