"""Scores of several seeds as a page tells them: means with Student's 95 % intervals, and what may be concluded."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from bertft_helpers.studies.summaries import Verdict, compare, judge, summarize

SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1"}  # column -> as it is told
MATTERS = 0.02  # of a score: the bound of the studies


def told_scores(rows: pd.DataFrame, by: str) -> dict[str, str]:
    """Every score of each value of the column ``by``, as fields of a line of Markdown."""
    found = [summarize(rows, [by], score).set_index(by) for score in SCORES]
    return {
        str(name): " | ".join(f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in fields)
        for name, *fields in zip(
            found[0].index, *(zip(own["mean"], own["low"], own["high"], strict=True) for own in found), strict=True
        )
    }


def judge_scores(
    rows: pd.DataFrame, by: str, pairs: Iterable[tuple[str, str]], words: Callable[[str, str, str], tuple[str, str]]
) -> list[Verdict]:
    """The differences of both scores between values of the column ``by``, paired by seed: one family.

    ``words`` gives the names of the two sides, from the score as it is told and the two values.
    """
    asked = list(pairs)
    family = {
        words(told, one, other): compare(rows, {by: one}, {by: other}, score)
        for score, told in SCORES.items()
        for one, other in asked
    }
    return judge(family, MATTERS)
