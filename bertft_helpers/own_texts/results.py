"""The results of a run as plain values, with a sentence that says whether fine-tuning was worth it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from bertft_helpers.evaluation import Predictions
from bertft_helpers.metrics import accuracy, expected_calibration_error, fit_temperature
from bertft_helpers.own_texts.baselines import Baseline
from bertft_helpers.own_texts.prepared import PARTS, Prepared
from bertft_helpers.own_texts.scores import compare_methods, scores_of

__all__ = ["VERSIONED", "collect_results", "judge_fine_tuning"]

VERSIONED = ("torch", "transformers", "scikit-learn", "bertft-helpers")


def collect_results(
    prepared: Prepared,
    predictions: Mapping[str, Predictions],
    others: Sequence[Baseline],
    run: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Everything about a finished run that a program would read, ready for JSON; ``run`` is passed through."""
    test, validation, names = predictions["test"], predictions["validation"], prepared.label_names
    scores = scores_of(test.labels, test.classes, names)
    compared = [_compared(other, test, names) for other in others]
    return {
        "label_names": names,
        "texts": {part: len(prepared.examples[part]) for part in PARTS},
        "removed": {str(why): int(n) for why, n in prepared.removed["reason"].value_counts().items()},
        "test": scores,
        "validation_accuracy": accuracy(validation.labels, validation.classes),
        "baselines": compared,
        "verdict": judge_fine_tuning(scores["accuracy"], compared),
        "calibration": {
            "expected_error": expected_calibration_error(test.labels, test.probabilities),
            "temperature": fit_temperature(validation.logits, validation.labels),
        },
        "notes": list(notes),
        "run": dict(run),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
    }


def _compared(other: Baseline, test: Predictions, names: Sequence[str]) -> dict[str, Any]:
    scores = scores_of(test.labels, other.predictions, names)
    outcome, chance = compare_methods(test.labels, test.classes, other.predictions)
    wanted = ("accuracy", "accuracy_interval", "macro_f1")
    return {
        "name": other.name,
        "method": other.method,
        **{name: scores[name] for name in wanted},
        "model_is": outcome,
        "p": chance,
        "processor_seconds": round(other.seconds, 2),
    }


def judge_fine_tuning(model_accuracy: float, compared: Sequence[Mapping[str, Any]]) -> str:
    """One sentence on the model against the baseline that did best on the same test texts."""
    best = max(compared, key=lambda row: row["accuracy"])
    measured = f"accuracy {model_accuracy:.3f} against {best['accuracy']:.3f}, p = {best['p']:.2g}"
    if best["model_is"] == "better":
        return f"Fine-tuning beat every baseline; the best of them is {best['name']} ({measured})."
    if best["model_is"] == "worse":
        return f"Fine-tuning did NOT pay: the baseline {best['name']} did better ({measured}). Use that instead."
    return (
        f"Fine-tuning did not clearly differ from the baseline {best['name']} ({measured}): "
        "these test texts cannot tell the two apart, and the baseline costs less."
    )
