"""The results of a run with several labels as plain values, with a sentence that says whether fine-tuning paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertft_helpers.own_texts.prepared import PARTS, Prepared
from bertft_helpers.own_texts.results import verdict_on, versions
from bertft_helpers.own_texts.several.baselines import Method
from bertft_helpers.own_texts.several.prepared import targets_of
from bertft_helpers.own_texts.several.scores import compare_sets, scores_of_sets
from bertft_helpers.own_texts.winner import Winner

__all__ = ["COMPARED", "collect_several", "judge"]

COMPARED = ("micro_f1", "micro_f1_interval", "macro_f1", "samples_f1", "exact")


def collect_several(
    prepared: Prepared,
    winner: Winner,
    kept: Method,
    tuned: Method,
    others: Sequence[Method],
    run: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Everything about a finished run that a program would read, ready for JSON; ``run`` is passed through.

    ``kept`` is the method that was saved, ``tuned`` the fine-tuned model, ``others`` are the baselines.
    """
    test, names = targets_of(prepared, "test"), prepared.label_names
    assert kept.thresholds is not None  # a method that is saved gives probabilities
    thresholds = dict(zip(names, kept.thresholds.tolist(), strict=True))
    scores = {one.name: _compared(one, tuned, prepared) for one in (tuned, *others)}
    fine_tuned = scores.pop(tuned.name)
    return {
        "label_names": names,
        "thresholds": thresholds,
        "texts": {part: len(prepared.examples[part]) for part in PARTS},
        "removed": {str(why): int(n) for why, n in prepared.removed["reason"].value_counts().items()},
        "saved": winner._asdict(),
        "test": scores_of_sets(test, kept.answers["test"], thresholds),
        "fine_tuned": {name: fine_tuned[name] for name in COMPARED},
        "baselines": [*scores.values()],
        "verdict": judge(fine_tuned["micro_f1"], [*scores.values()], winner.name),
        "notes": list(notes),
        "run": dict(run),
        "versions": versions(),
    }


def _compared(one: Method, tuned: Method, prepared: Prepared) -> dict[str, Any]:
    """A method's scores on the test texts, and how the fine-tuned model compares with it."""
    test = targets_of(prepared, "test")
    scores = scores_of_sets(test, one.answers["test"], dict.fromkeys(prepared.label_names, 0.0))
    found = compare_sets(test, tuned.answers["test"], one.answers["test"])
    return {
        "name": one.name,
        "method": one.description,
        **{name: scores[name] for name in COMPARED},
        "model_is": found.outcome,
        "difference": found.difference,
        "difference_interval": (found.low, found.high),
        "processor_seconds": round(one.seconds, 2),
    }


def judge(model_f1: float, compared: Sequence[Mapping[str, Any]], saved: str) -> str:
    """One or two sentences on the fine-tuned model against the baseline that did best on the same test texts."""
    best = max(compared, key=lambda row: row["micro_f1"])
    low, high = best["difference_interval"]
    measured = (
        f"micro F1 {model_f1:.3f} against {best['micro_f1']:.3f}, 95 % interval of the difference {low:+.3f} to "
        f"{high:+.3f}"
    )
    return verdict_on(best, measured, saved)
