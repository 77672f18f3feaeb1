"""``report.html`` of a run with several labels: one page with everything in it, as safe as that for one label."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from bertft_helpers.metrics import Floats
from bertft_helpers.own_texts.pages import render
from bertft_helpers.own_texts.prepared import PARTS, share_cut
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.report import FILTERS, baselines_picture, examples_of, lengths_picture, losses_picture
from bertft_helpers.own_texts.several.dividing import Targets
from bertft_helpers.own_texts.several.prepared import targets_of
from bertft_helpers.own_texts.several.scores import RESAMPLES

__all__ = ["WrongLabel", "confident_mistakes", "several_page"]


class WrongLabel(NamedTuple):
    """A label that a text was given and has not, or has and was not given; ``row`` and ``label`` count from 0."""

    row: int
    label: int
    is_missing: bool
    probability: float


def several_page(record: TaskRecord) -> str:
    """The page as HTML, ready to be written to a file."""
    filters = {**FILTERS, "signed": "{:+.3f}".format}
    return render("several/report.html.j2", filters, _contents(record))


def confident_mistakes(
    targets: Targets, probabilities: Floats, thresholds: Sequence[float], count: int = 20
) -> list[WrongLabel]:
    """The answers that lie farthest on the wrong side of their label's threshold.

    ``targets`` and ``probabilities`` are ``[texts, labels]``, ``thresholds`` ``[labels]``.
    """
    beyond = np.where((probabilities >= thresholds) != targets, np.abs(probabilities - thresholds), -1.0)
    farthest = np.argsort(-beyond, axis=None, kind="stable")[: min(count, int((beyond >= 0).sum()))]
    cells = zip(*np.unravel_index(farthest, beyond.shape), strict=True)
    return [WrongLabel(int(i), int(j), bool(targets[i, j]), float(probabilities[i, j])) for i, j in cells]


def _contents(record: TaskRecord) -> dict[str, Any]:
    """Everything that the template shows, by name."""
    prepared, results = record.prepared, record.results
    labels = np.concatenate([targets_of(prepared, part).sum(axis=1) for part in PARTS])
    return {
        **results,
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "settings": record.settings,
        "max_length": record.max_length,
        "cut_share": share_cut(prepared, record.max_length),
        "labels_per_text": labels.mean(),
        "without_label": int((labels == 0).sum()),
        "label_counts": list(zip(prepared.label_names, *(prepared.counts(part) for part in PARTS), strict=True)),
        "resamples": RESAMPLES,
        "mistakes": _mistakes(record),
        "examples": examples_of(record),
        "pictures": {
            "lengths": lengths_picture(record),
            "losses": losses_picture(record),
            "baselines": baselines_picture(results, "micro_f1", "micro F1"),
        },
    }


def _mistakes(record: TaskRecord) -> list[dict[str, Any]]:
    names, thresholds = zip(*record.results["thresholds"].items(), strict=True)
    texts, test = record.prepared.parts["test"], record.predictions["test"]
    found = confident_mistakes(targets_of(record.prepared, "test"), expit(test.logits), thresholds)
    return [
        {
            **one._asdict(),
            "id": texts["id"][one.row],
            "text": texts["text"][one.row],
            "label": names[one.label],
            "threshold": thresholds[one.label],
        }
        for one in found
    ]
