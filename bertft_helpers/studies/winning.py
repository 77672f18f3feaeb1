"""Which change of what ``bertft train`` does by itself holds, by a rule that was fixed before there were any rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bertft_helpers.studies.defaults import POOLER
from bertft_helpers.studies.families import find_family, verdicts_of
from bertft_helpers.studies.summaries import Verdict

__all__ = ["FEWEST", "winning_reading"]

FEWEST = (("headlines", 10), ("lead or later", 25))  # 50 texts, of each task
Setting = tuple[str, int]  # task, texts of each class


def winning_reading(rows: pd.DataFrame | None = None) -> str:
    """What the head of ``bertft train`` should read, by the study ``defaults``.

    It is the pooler, unless another reading lies above it for the ``FEWEST`` texts and below it nowhere; of several
    the one that gains most on average. ``rows`` are the committed ones unless others are given.
    """
    found: dict[str, dict[Setting, Verdict]] = {}
    for contrast, verdict in zip(find_family("defaults").contrasts, verdicts_of("defaults", rows), strict=True):
        cell = contrast.one
        found.setdefault(cell["reading"], {})[cell["texts"], cell["per_class"]] = verdict
    gains = {reading: _gain(verdicts) for reading, verdicts in found.items() if _holds(verdicts)}
    return max(gains, key=gains.__getitem__, default=POOLER)


def _holds(verdicts: Mapping[Setting, Verdict]) -> bool:
    above = all(verdicts[setting].finding == "above" for setting in FEWEST)
    return above and all(verdict.finding != "below" for verdict in verdicts.values())


def _gain(verdicts: Mapping[Setting, Verdict]) -> float:
    return float(np.mean([verdict.difference.mean for verdict in verdicts.values()]))
