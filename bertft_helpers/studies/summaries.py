"""What many seeds say: means with intervals, paired differences, and verdicts by one policy.

The policy of every study: differences are paired by seed; the contrasts of a family are named before anybody looks;
Holm's correction holds the chance of a single false finding in the family at 5 %; "the same" is claimed only when a
difference as large as ``same_within`` is ruled out; what is neither is open. Seeds that a failed run leaves without a
partner are counted. An interval covers other seeds, not other validation texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from bertft_helpers.errors import UserError

__all__ = [
    "Difference",
    "TooFewPairs",
    "Verdict",
    "compare",
    "holm",
    "judge",
    "mean_interval",
    "paired_difference",
    "summarize",
]

_LEVEL = 0.05  # the chance of one false finding or more in a family


def summarize(rows: pd.DataFrame, by: Sequence[str], value: str = "accuracy", majority: float = 0.0) -> pd.DataFrame:
    """One line per combination of ``by``: runs, mean, sd, the mean's ``low`` and ``high``, minimum, failed share.

    ``low`` and ``high`` are those of ``mean_interval``. A run failed when it raised (its value is missing) or did not
    get above ``majority``, the score of always answering the largest class. Runs that raised count as failed and in
    nothing else. ``sd`` is the sample's, over seeds.
    """
    lines = []
    for names, group in rows.groupby(list(by), sort=False, dropna=False):
        values = group[value].dropna().to_numpy(dtype=float)
        low, high = mean_interval(values)
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


def mean_interval(values: ArrayLike) -> tuple[float, float]:
    """Student's 95 % interval of the mean of ``values`` ``[runs]``.

    Fewer than two show no spread: then both ends are NaN, which plots leave out.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return np.nan, np.nan
    mean, reach = float(values.mean()), _reach(_standard_error(values), len(values))
    return mean - reach, mean + reach


class TooFewPairs(UserError):
    """Fewer than two seeds have both runs of a contrast."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean of paired differences over ``pairs`` seeds with its standard error and its 95 % t interval.

    ``lost`` counts the seeds without a pair, because one of their two runs raised.
    """

    mean: float
    error: float
    pairs: int
    lost: int = 0

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - _reach(self.error, self.pairs)

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + _reach(self.error, self.pairs)

    def p_above(self, bound: float) -> float:
        """How probable a mean as high as this would be if the true one were ``bound`` (one-sided t test)."""
        if self.error == 0:
            return float(self.mean <= bound)
        return float(stats.t.sf((self.mean - bound) / self.error, self.pairs - 1))

    def mirrored(self) -> Difference:
        """The same difference, the other way round."""
        return dataclasses.replace(self, mean=-self.mean)


def paired_difference(first: ArrayLike, second: ArrayLike, lost: int = 0) -> Difference:
    """``first - second``, paired: both ``[seeds]`` in the same order of seeds.

    The interval is Student's for the mean of the differences. Raises TooFewPairs.
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if differences.ndim != 1 or len(differences) < 2:
        raise TooFewPairs(f"{differences.size} pairs: at least two seeds are needed to see a spread")
    return Difference(float(differences.mean()), _standard_error(differences), len(differences), lost)


def compare(
    rows: pd.DataFrame, first: Mapping[str, Any], second: Mapping[str, Any], value: str = "accuracy"
) -> Difference:
    """The paired difference between two cells of a study, over the seeds that both have finished; the others are lost.

    Raises ValueError for a factor that is not a column, a cell that no run has, or one with several runs per seed.
    """
    one, other = _by_seed(rows, first, value), _by_seed(rows, second, value)
    seeds = one.index.intersection(other.index).sort_values()
    both = one[seeds].notna() & other[seeds].notna()
    return paired_difference(one[seeds][both], other[seeds][both], lost=int((~both).sum()))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What may be said of ``first`` against ``second`` as one contrast of a family; ``str`` of it is the sentence.

    ``p`` is Holm's for "they do not differ", ``p_same`` Holm's for "they differ by ``same_within`` or more".
    """

    first: str
    second: str
    difference: Difference
    p: float
    p_same: float
    same_within: float

    @property
    def finding(self) -> Literal["above", "below", "the same", "open"]:
        """``first`` lies above or below ``second``, is the same within the bound, or that is open."""
        if self.p < _LEVEL:
            return "above" if self.difference.mean > 0 else "below"
        return "the same" if self.p_same < _LEVEL else "open"

    def __str__(self) -> str:
        shown = self.difference.mirrored() if self.finding == "below" else self.difference
        runs = f"{shown.pairs} seeds" + (f", {shown.lost} lost" if shown.lost else "")
        found = f"95 % interval {shown.low:+.3f} to {shown.high:+.3f}, Holm p {_p(self.p)}, {runs}"
        if self.finding in ("above", "below"):
            little = f", less than {self.same_within:g}" if self.p_same < _LEVEL else ""
            return f"{self.first} lies {self.finding} {self.second} by {shown.mean:.3f}{little} ({found})"
        words = {"the same": f"the same within {self.same_within:g}", "open": "open"}[self.finding]
        return f"{self.first} against {self.second}: {words} ({shown.mean:+.3f}; {found})"


def judge(family: Mapping[tuple[str, str], Difference], same_within: float) -> list[Verdict]:
    """A verdict on each contrast ``(first, second)`` of a family that was named before looking.

    Two-sided paired t tests for a difference and two one-sided ones for its absence (``same_within`` in the units of
    the value), each kind with Holm's correction over the whole family. Sources: Holm 1979, Schuirmann 1987. Raises
    ValueError for a bound that is not above 0.
    """
    if not same_within > 0:
        raise UserError(f"same_within is {same_within}; it must be above 0: the smallest difference that matters")
    differ = holm([2 * min(d.p_above(0), d.mirrored().p_above(0)) for d in family.values()])
    same = holm([max(d.p_above(-same_within), d.mirrored().p_above(-same_within)) for d in family.values()])
    return [
        Verdict(first, second, difference, p, p_same, same_within)
        for ((first, second), difference), p, p_same in zip(family.items(), differ, same, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values ``[tests]`` corrected by Holm's step-down method, in the order given and at most 1."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=float)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def _standard_error(values: np.ndarray) -> float:
    """Of the mean of ``values`` ``[runs]``."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _reach(error: float, runs: int) -> float:
    """How far Student's 95 % interval reaches to each side of a mean of so many runs."""
    return float(stats.t.ppf(0.975, runs - 1)) * error


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


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
    return chosen.set_index("seed")[value]
