"""Several labels for one text at the command line: how the options are understood, and the scores in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bertft_helpers.cli.console import answer
from bertft_helpers.reading.label_lists import LabelLists

__all__ = ["LabelColumns", "LabelSeparator", "SeveralLabels", "lists_from", "print_results", "print_scores"]

SeveralLabels = Annotated[
    bool, typer.Option("--several-labels", help='A text has any number of labels: JSON lists such as ["a", "b"].')
]
LabelSeparator = Annotated[
    str | None, typer.Option("--label-separator", help="The same, with this between the names: '|', ';'.")
]
LabelColumns = Annotated[
    str | None, typer.Option("--label-columns", help="The same, as columns of 0 and 1: their names, with commas.")
]


def lists_from(several: bool, separator: str | None, columns: str | None) -> LabelLists | None:
    """What the three options say together; None for one label a text. Raises as ``LabelLists``."""
    if not several and separator is None and columns is None:
        return None
    named = None if columns is None else tuple(name.strip() for name in columns.split(",") if name.strip())
    return LabelLists(separator, named)


def print_results(results: dict[str, Any], out: Path) -> None:
    """What a finished run comes to."""
    print_scores(results["test"], "test texts")
    answer(results["verdict"])
    answer(results["saved"]["why"])
    answer(f"model in {out / 'model'}, summary in {out / 'summary.html'}, report in {out / 'report.html'}")


def print_scores(scores: dict[str, Any], what: str) -> None:
    """F1 in three ways with intervals, and the exact sets."""
    low, high = scores["micro_f1_interval"]
    answer(f"micro F1 {scores['micro_f1']:.3f} ({low:.3f} to {high:.3f}) on {scores['texts']} {what}, over all answers")
    answer(f"macro F1 {scores['macro_f1']:.3f}, the mean over labels")
    low, high = scores["samples_f1_interval"]
    answer(f"samples F1 {scores['samples_f1']:.3f} ({low:.3f} to {high:.3f}), the mean over texts")
    low, high = scores["exact_interval"]
    answer(f"exactly right {scores['exact']:.3f} ({low:.3f} to {high:.3f}): no label missing, none too many")
