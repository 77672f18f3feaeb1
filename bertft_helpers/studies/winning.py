"""Which change of what ``bertft train`` does by itself holds, by a rule that is older than the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from bertft_helpers.studies.families import find_family, verdicts_of
from bertft_helpers.studies.summaries import Verdict

__all__ = ["DECIDING", "TASKS", "winning_change"]

TASKS = ("headlines", "lead or later")
DECIDING = ("defaults", "further_defaults", "class_weights")  # families of contrasts
_Setting = tuple[str, float]  # task, texts of each class


def winning_change(rows: Mapping[str, pd.DataFrame] | None = None) -> dict[str, object]:
    """What of ``bertft train`` should change, by the studies of it: a ``Default``'s fields; empty for nothing.

    A change holds that lies above what was done before for the fewest texts of each task, and below it nowhere; of
    several the one that gains most on average is taken. ``rows``, by family, are the committed ones unless others are
    given; then only their families decide.
    """
    found: dict[tuple[tuple[str, object], ...], dict[_Setting, Verdict]] = {}
    for family in DECIDING if rows is None else rows:
        verdicts = verdicts_of(family, None if rows is None else rows[family])
        for contrast, verdict in zip(find_family(family).contrasts, verdicts, strict=True):
            one, other = contrast.one, contrast.other
            change = tuple((name, value) for name, value in one.items() if value != other[name])
            texts = math.inf if one["per_class"] is None else one["per_class"]
            found.setdefault(change, {})[one["texts"], texts] = verdict
    gains = {change: _gain(verdicts) for change, verdicts in found.items() if _holds(verdicts)}
    if not gains:
        return {}
    best = max(gains, key=gains.__getitem__)
    return dict(best)


def _holds(verdicts: Mapping[_Setting, Verdict]) -> bool:
    if any(verdict.finding == "below" for verdict in verdicts.values()):
        return False
    fewest = [min((setting for setting in verdicts if setting[0] == task), default=None) for task in TASKS]
    return all(setting is not None and verdicts[setting].finding == "above" for setting in fewest)


def _gain(verdicts: Mapping[_Setting, Verdict]) -> float:
    return float(np.mean([verdict.difference.mean for verdict in verdicts.values()]))
