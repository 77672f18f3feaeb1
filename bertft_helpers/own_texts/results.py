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
from bertft_helpers.own_texts.winner import ASKED, Winner

__all__ = ["COMPARED", "VERSIONED", "collect_results", "judge_fine_tuning", "verdict_on", "versions"]

COMPARED = ("accuracy", "accuracy_interval", "macro_f1")
VERSIONED = ("torch", "transformers", "scikit-learn", "bertft-helpers")


def collect_results(
    prepared: Prepared,
    winner: Winner,
    predictions: Mapping[str, Predictions],
    tuned: Mapping[str, Predictions],
    others: Sequence[Baseline],
    temperature: float,
    run: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Everything about a finished run that a program would read, ready for JSON; ``run`` is passed through.

    ``predictions`` hold the logits as the saved model gives them, by part, and ``tuned`` those of the fine-tuned model.
    """
    test, validation, names = predictions["test"], predictions["validation"], prepared.label_names
    scores = scores_of(test.labels, test.classes, names)
    fine_tuned = scores_of(test.labels, tuned["test"].classes, names)
    confused = frequent_confusions(confusion_matrix(test.labels, test.classes, len(names)))
    limit = choose_limit(with_temperature(validation, temperature))
    compared = [_compared(other, tuned["test"], names) for other in others]
    return {
        "label_names": names,
        "texts": {part: len(prepared.examples[part]) for part in PARTS},
        "removed": {str(why): int(n) for why, n in prepared.removed["reason"].value_counts().items()},
        "saved": winner._asdict(),
        "test": scores,
        "fine_tuned": {name: fine_tuned[name] for name in COMPARED},
        "validation_accuracy": accuracy(validation.labels, tuned["validation"].classes),
        "baselines": compared,
        "verdict": judge_fine_tuning(fine_tuned["accuracy"], compared, winner.name),
        "confusions": [(names[true], names[answered], times) for true, answered, times in confused],
        "calibration": calibrate(test, temperature)._asdict(),
        "abstention": None if limit is None else abstain_below(limit, with_temperature(test, temperature))._asdict(),
        "notes": list(notes),
        "run": dict(run),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """What the numbers of a run come from, name -> version."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}}


def _compared(other: Baseline, test: Predictions, names: Sequence[str]) -> dict[str, Any]:
    """A baseline's scores, and how the fine-tuned model, which predicted ``test``, compares with it."""
    scores = scores_of(test.labels, other.predictions, names)
    outcome, chance = compare_methods(test.labels, test.classes, other.predictions)
    return {
        "name": other.name,
        "method": other.method,
        **{name: scores[name] for name in COMPARED},
        "model_is": outcome,
        "p": chance,
        "processor_seconds": round(other.seconds, 2),
    }


def judge_fine_tuning(model_accuracy: float, compared: Sequence[Mapping[str, Any]], saved: str) -> str:
    """One or two sentences on the fine-tuned model against the baseline that did best on the same test texts."""
    best = max(compared, key=lambda row: row["accuracy"])
    measured = f"accuracy {model_accuracy:.3f} against {best['accuracy']:.3f}, p = {best['p']:.2g}"
    return verdict_on(best, measured, saved)


def verdict_on(best: Mapping[str, Any], measured: str, saved: str) -> str:
    """The sentences on the row of the ``best`` baseline; ``measured`` is by how much, ``saved`` the kept method.

    That it was kept, and why, is told after them wherever they stand (``winner.Winner``).
    """
    if best["model_is"] == "better":
        return f"Fine-tuning beat every baseline; the best of them is {best['name']} ({measured})."
    if best["model_is"] == "worse":
        found = f"Fine-tuning did NOT pay: the baseline {best['name']} did better ({measured})."
        return found if best["name"] == saved else f"{found} {_advice(best['name'])}"
    return (
        f"Fine-tuning did not clearly differ from the baseline {best['name']} ({measured}): "
        "these test texts cannot tell the two apart, and the baseline costs less."
    )


def _advice(name: str) -> str:
    """What to do where the baseline ``name`` did better and was not saved, in a sentence."""
    keep = next((option for option, asked in ASKED.items() if asked == name), None)
    if keep is None:
        return "The texts as they are taught the model nothing: look at their labels and their number."
    return f"Use that instead: bertft train with --keep {keep} and another --out saves it."
