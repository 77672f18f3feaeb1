"""What many seeds say: means with intervals, paired differences, and a verdict in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import bootstrap_interval

__all__ = ["Difference", "compare", "paired_difference", "summarize", "verdict"]


def summarize(rows: pd.DataFrame, by: Sequence[str], value: str = "accuracy", majority: float = 0.0) -> pd.DataFrame:
    """One line per combination of ``by``: runs, mean, sd, bootstrap interval of the mean, minimum, failed share.

    A run failed when it raised (its value is missing) or did not get above ``majority``, the score of always answering
    the largest class. Runs that raised count as failed and in nothing else. ``sd`` is the sample's, over seeds.
    """
    lines = []
    for names, group in rows.groupby(list(by), sort=False, dropna=False):
        values = group[value].dropna().to_numpy(dtype=float)
        low, high = bootstrap_interval(values) if len(values) else (np.nan, np.nan)
        lines.append(
            {
                **dict(zip(by, names, strict=True)),
                "runs": len(group),
                "mean": values.mean() if len(values) else np.nan,
                "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                "low": low,
                "high": high,
                "minimum": values.min() if len(values) else np.nan,
                "failed": float((~(group[value] > majority)).mean()),
            }
        )
    return pd.DataFrame(lines)


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean of paired differences over ``pairs`` seeds with its 95 % t interval."""

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def paired_difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """``first - second``, paired: both ``[seeds]`` in the same order of seeds.

    The interval is Student's for the mean of the differences. Raises ValueError for fewer than two pairs.
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if differences.ndim != 1 or len(differences) < 2:
        raise UserError(f"{differences.size} pairs: at least two seeds are needed to see a spread")
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
    reach = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return Difference(mean, mean - reach, mean + reach, len(differences))


def compare(
    rows: pd.DataFrame, first: Mapping[str, Any], second: Mapping[str, Any], value: str = "accuracy"
) -> Difference:
    """The paired difference between two cells of a study, over the seeds that both have finished.

    Raises ValueError for a factor that is not a column, a cell that no run has, or one with several runs per seed.
    """
    one, other = _by_seed(rows, first, value), _by_seed(rows, second, value)
    seeds = one.index.intersection(other.index).sort_values()
    return paired_difference(one[seeds], other[seeds])


def verdict(difference: Difference, first: str, second: str) -> str:
    """One sentence that calls nothing better inside the seeds' spread."""
    interval = f"95 % interval {difference.low:+.3f} to {difference.high:+.3f}, {difference.pairs} seeds"
    if not difference.is_clear:
        return (
            f"no difference beyond the seeds' spread between {first} and {second} ({difference.mean:+.3f}, {interval})"
        )
    better, worse = (first, second) if difference.mean > 0 else (second, first)
    return f"{better} is better than {worse} by {abs(difference.mean):.3f} ({interval})"


def _by_seed(rows: pd.DataFrame, cell: Mapping[str, Any], value: str) -> pd.Series:
    unknown = [name for name in cell if name not in rows.columns]
    if unknown:
        raise UserError(f"no factor {', '.join(unknown)}; the columns are {', '.join(rows.columns)}")
    chosen = rows
    for name, wanted in cell.items():
        chosen = chosen[chosen[name].isna() if wanted is None else chosen[name] == wanted]  # None is an empty field
    if chosen.empty:
        there = "; ".join(f"{name} {rows[name].unique().tolist()}" for name in cell)
        raise UserError(f"no run has {dict(cell)}; there are {there}")
    if chosen["seed"].duplicated().any():
        raise UserError(f"{dict(cell)} has several runs per seed; name the other factors' values too")
    return chosen.dropna(subset=[value]).set_index("seed")[value]
