"""What each lesson takes: minutes and peak memory, as measured for the map, beside the package."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["COSTS", "Cost", "costs_text", "measured_costs"]

COSTS = Path(__file__).with_name("costs.csv")  # written by `bertft map`, beside the map of the lessons


class Cost(NamedTuple):
    """What a run of a lesson took."""

    minutes: float
    peak_mb: float


def measured_costs() -> dict[str, Cost]:
    """The stored costs by the lesson's two digits."""
    with COSTS.open(encoding="utf-8", newline="") as stream:
        return {row["lesson"]: Cost(float(row["minutes"]), float(row["peak_mb"])) for row in csv.DictReader(stream)}


def costs_text(costs: Mapping[str, Cost]) -> str:
    """The costs as CSV, which the installed package brings along for the set-up cell of a lesson that stands alone."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["lesson", *Cost._fields])
    writer.writerows([number, f"{cost.minutes:.1f}", f"{cost.peak_mb:.0f}"] for number, cost in sorted(costs.items()))
    return lines.getvalue()
