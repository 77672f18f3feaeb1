"""``summary.html``: a page of plain sentences for the person who decides whether a classifier is used.

What it does, where it fails, when a person should look, what it costs; ``report.html`` has the tables behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertft_helpers.own_texts.calibration import Abstention, Calibration
from bertft_helpers.own_texts.pages import render
from bertft_helpers.tables import visible

__all__ = ["DESCRIBED", "FEW", "FILTERS", "LONGEST_NAME", "Summary", "duration", "summary_of", "summary_page"]

FEW = 10  # texts of a class: with fewer, one mistake decides which class is the weakest
LONGEST_NAME = 40
DESCRIBED = {  # the methods in words
    "fine-tuned": "fine-tuning BERT",
    "largest class": "always answering the largest class",
    "counted words": "counting words",
    "frozen features": "BERT without fine-tuning",
}

FILTERS: dict[str, Callable[..., str]] = {
    "name": lambda value: visible(str(value), LONGEST_NAME),
    "text": lambda value: visible(str(value), None),
    "percent": lambda share: f"{100 * share:.1f} %",
    "number": "{:,.0f}".format,
    "times": lambda count: "once" if count == 1 else f"{count:,} times",
    "rate": lambda rate: f"{rate:,.0f} texts a second" if rate >= 1 else f"{60 * rate:,.0f} texts a minute",
    "duration": lambda seconds: duration(seconds),
    "size": lambda megabytes: f"{megabytes:,.0f} MB" if megabytes >= 1 else "less than 1 MB",
}


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the page says, as numbers.

    ``texts`` counts them by part; ``accuracies`` are those of all training runs on the same test texts, the described
    model's first, and ``interval`` its 95 % interval; ``baselines`` maps other methods to their accuracies; ``classes``
    have ``label``, ``recall`` and ``texts``; ``confusion`` is (label, answered instead, times).
    """

    source: str
    label_names: Sequence[str]
    texts: Mapping[str, int]
    accuracies: Sequence[float]
    interval: tuple[float, float]
    baselines: Mapping[str, float]
    verdict: str
    classes: Sequence[Mapping[str, Any]]
    confusion: tuple[str, str, int] | None
    calibration: Calibration
    abstention: Abstention | None
    training_seconds: float
    device: str
    texts_per_second: float
    megabytes: float
    notes: Sequence[str] = ()

    @property
    def mistakes(self) -> int:
        """How many test texts got a wrong answer."""
        return round((1 - self.accuracies[0]) * self.texts["test"])

    @property
    def caught(self) -> int:
        """How many of the mistakes lie below the limit, where a person looks."""
        if self.abstention is None:
            return 0
        return round((1 - self.abstention.answered) * (1 - self.abstention.right_below) * self.texts["test"])

    @property
    def weakest(self) -> Mapping[str, Any] | None:
        """The class of which the smallest share is recognised, among those of ``FEW`` test texts or more."""
        enough = [row for row in self.classes if row["texts"] >= FEW]
        return min(enough, key=lambda row: row["recall"], default=None)


def summary_of(results: Mapping[str, Any]) -> Summary:
    """The summary of a run from what stands in its ``results.json``."""
    run, test, abstention = results["run"], results["test"], results["abstention"]
    most_frequent = next(iter(results["confusions"]), None)
    return Summary(
        source=str(run["source"]).replace("\\", "/").rsplit("/", 1)[-1],
        label_names=results["label_names"],
        texts=results["texts"],
        accuracies=[test["accuracy"]],
        interval=tuple(test["accuracy_interval"]),
        baselines=_other_methods(results),
        verdict=f"{results['verdict']} {results['saved']['why']}",
        classes=test["classes"],
        confusion=most_frequent and tuple(most_frequent),
        calibration=Calibration(**results["calibration"]),
        abstention=abstention and Abstention(**abstention),
        training_seconds=run["training_seconds"],
        device=run["device"],
        texts_per_second=run["texts_per_second"],
        megabytes=run["megabytes"],
        notes=results["notes"],
    )


def _other_methods(results: Mapping[str, Any]) -> dict[str, float]:
    """The accuracy of each method that was compared but for the saved one, by a description of it."""
    rows = [{"name": "fine-tuned", **results["fine_tuned"]}, *results["baselines"]]
    others = [row for row in rows if row["name"] != results["saved"]["name"]]
    return {DESCRIBED[row["name"]]: row["accuracy"] for row in others}


def summary_page(summary: Summary) -> str:
    """The page as HTML; every value from the data is escaped, and what would hide or turn around is written out."""
    own = {field.name: getattr(summary, field.name) for field in dataclasses.fields(summary)}
    own |= {name: getattr(summary, name) for name in ("mistakes", "caught", "weakest")}
    return render("summary.html.j2", FILTERS, own)


def duration(seconds: float) -> str:
    """A time as a person says it: in seconds up to a minute and a half, then in minutes, then in hours."""
    if seconds < 90:
        return "a second" if round(seconds) <= 1 else f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} hours"
