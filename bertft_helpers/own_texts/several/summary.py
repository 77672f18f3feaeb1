"""``summary.html`` of a run with several labels: plain sentences for the person who decides whether it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertft_helpers.own_texts.pages import render
from bertft_helpers.own_texts.several.baselines import FREQUENT
from bertft_helpers.own_texts.summary import DESCRIBED, FEW, FILTERS

__all__ = ["several_summary"]


def several_summary(results: Mapping[str, Any]) -> str:
    """The page as HTML from what stands in a run's ``results.json``, as safe as that for one label."""
    enough = [row for row in results["test"]["labels"] if row["texts"] >= FEW]
    values = {
        "source": str(results["run"]["source"]).replace("\\", "/").rsplit("/", 1)[-1],
        "weakest": min(enough, key=lambda row: row["f1"], default=None),
        "others": _other_methods(results),
    }
    return render("several/summary.html.j2", FILTERS, {**results, **values})


def _other_methods(results: Mapping[str, Any]) -> dict[str, float]:
    """The micro F1 of each method that was compared but for the saved one, by a description of it."""
    described = {**DESCRIBED, FREQUENT: "always giving the most frequent set of labels"}
    rows = [{"name": "fine-tuned", **results["fine_tuned"]}, *results["baselines"]]
    return {described[row["name"]]: row["micro_f1"] for row in rows if row["name"] != results["saved"]["name"]}
