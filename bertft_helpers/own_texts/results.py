"""The results of a run as plain values, with a sentence that says whether fine-tuning was worth it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from bertft_helpers.evaluation import Predictions
from bertft_helpers.metrics import accuracy, confusion_matrix
from bertft_helpers.own_texts.baselines import Baseline
from bertft_helpers.own_texts.calibration import abstain_below, calibrate, choose_limit, with_temperature
from bertft_helpers.own_texts.prepared import PARTS, Prepared
from bertft_helpers.own_texts.scores import compare_methods, frequent_confusions, scores_of

__all__ = ["VERSIONED", "collect_results", "judge_fine_tuning"]

VERSIONED = ("torch", "transformers", "scikit-learn", "bertft-helpers")


def collect_results(
    prepared: Prepared,
    predictions: Mapping[str, Predictions],
    others: Sequence[Baseline],
    temperature: float,
    run: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Everything about a finished run that a program would read, ready for JSON; ``run`` is passed through.

    ``predictions`` hold the logits as the model gives them, by part.
    """
    test, validation, names = predictions["test"], predictions["validation"], prepared.label_names
    scores = scores_of(test.labels, test.classes, names)
    confused = frequent_confusions(confusion_matrix(test.labels, test.classes, len(names)))
    limit = choose_limit(with_temperature(validation, temperature))
    compared = [_compared(other, test, names) for other in others]
    return {
        "label_names": names,
        "texts": {part: len(prepared.examples[part]) for part in PARTS},
        "removed": {str(why): int(n) for why, n in prepared.removed["reason"].value_counts().items()},
        "test": scores,
        "validation_accuracy": accuracy(validation.labels, validation.classes),
        "baselines": compared,
        "verdict": judge_fine_tuning(scores["accuracy"], compared),
        "confusions": [(names[true], names[answered], times) for true, answered, times in confused],
        "calibration": calibrate(test, temperature)._asdict(),
        "abstention": None if limit is None else abstain_below(limit, with_temperature(test, temperature))._asdict(),
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
