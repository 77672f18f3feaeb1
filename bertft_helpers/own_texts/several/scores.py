"""How right several labels for a text are: F1 in three ways, each label's scores, and two methods compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bertft_helpers.evaluation import Predictions
from bertft_helpers.metrics import Floats
from bertft_helpers.own_texts.calibration import calibrate
from bertft_helpers.own_texts.scores import accuracy_interval
from bertft_helpers.own_texts.several.dividing import Targets
from bertft_helpers.several_labels import f1_scores

__all__ = [
    "RESAMPLES",
    "Compared",
    "calibration_of_labels",
    "compare_sets",
    "micro_f1",
    "resampled_sums",
    "scores_of_sets",
]

RESAMPLES = 1000


class Compared(NamedTuple):
    """How a model compares with another method: in a word, the difference of micro F1, and its 95 % interval."""

    outcome: str
    difference: float
    low: float
    high: float


def scores_of_sets(targets: Targets, said: Targets, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """F1 over all answers (micro, with precision and recall), over labels, over texts, and the share of exact sets.

    ``targets`` and ``said`` are ``[texts, labels]``, in the order of ``thresholds``, label -> threshold. The macro mean
    is over the labels that occur. A text for which nothing is right and nothing was said counts 0 in samples F1, as in
    scikit-learn, and as right among the exact ones. Ready for JSON; intervals are 95 % (bootstrap over texts).
    """
    scores = f1_scores(targets, said)
    occurring = (targets | said).any(axis=0)
    exact = (targets == said).all(axis=1)
    counts = _counts(targets, said)
    f1_of_texts = micro_f1(counts)
    return {
        "texts": len(targets),
        "micro_f1": scores.micro,
        "micro_precision": float((targets & said).sum() / max(int(said.sum()), 1)),
        "micro_recall": float((targets & said).sum() / max(int(targets.sum()), 1)),
        "micro_f1_interval": _interval(micro_f1(resampled_sums(counts))),
        "macro_f1": float(scores.per_label[occurring].mean()) if occurring.any() else 0.0,
        "samples_f1": scores.samples,
        "samples_f1_interval": _interval(resampled_sums(f1_of_texts) / len(targets)),
        "exact": float(exact.mean()),
        "exact_interval": accuracy_interval(exact),
        "labels": _per_label(targets, said, thresholds, scores.per_label),
    }


def _per_label(targets: Targets, said: Targets, thresholds: Mapping[str, float], f1: Floats) -> list[dict[str, Any]]:
    hits, answered, true = (cells.sum(axis=0) for cells in (targets & said, said, targets))
    precision, recall = hits / np.maximum(answered, 1), hits / np.maximum(true, 1)
    return [
        {"label": label, "threshold": limit, "precision": float(p), "recall": float(r), "f1": float(f), "texts": int(n)}
        for (label, limit), p, r, f, n in zip(thresholds.items(), precision, recall, f1, true, strict=True)
    ]


def calibration_of_labels(targets: Targets, logits: Floats, names: Sequence[str]) -> list[dict[str, Any]]:
    """For each label how far the probability of its answer, yes or no, lies from the share of right ones (ECE).

    ``targets`` and ``logits`` are ``[texts, labels]``. ``error_by_luck`` is as in ``calibration.Calibration``. Ready
    for JSON.
    """
    found = []
    for name, has, yes in zip(names, targets.T, logits.T, strict=True):
        answers = Predictions(np.stack([np.zeros_like(yes), yes], axis=1), has.astype(int))
        own = calibrate(answers, temperature=1.0)
        found.append({"label": name, "expected_error": own.expected_error, "error_by_luck": own.error_by_luck})
    return found


def compare_sets(targets: Targets, model: Targets, other: Targets) -> Compared:
    """Micro F1 of a model against another method's on the same texts, all three ``[texts, labels]``.

    ``better`` or ``worse`` where the 95 % interval of the difference (bootstrap over texts) leaves out 0.
    """
    both = np.stack([_counts(targets, model), _counts(targets, other)], axis=1)  # [texts, methods, 2]
    ours, theirs = np.moveaxis(micro_f1(resampled_sums(both)), -1, 0)
    low, high = _interval(ours - theirs)
    outcome = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    ours, theirs = micro_f1(both.sum(axis=0))
    return Compared(outcome, float(ours - theirs), low, high)


def _counts(targets: Targets, said: Targets) -> Floats:
    """For each text the hits, and the number of labels said or true, ``[texts, 2]``."""
    return np.stack([(targets & said).sum(axis=1), said.sum(axis=1) + targets.sum(axis=1)], axis=1).astype(float)


def micro_f1(counts: Floats) -> Floats:
    """F1 from hits and the number of labels said or true, ``[…, 2]``; of nothing it is 0."""
    return 2 * counts[..., 0] / np.maximum(counts[..., 1], 1)


def resampled_sums(values: Floats) -> Floats:
    """The sums of ``values`` ``[texts, …]`` over each of ``RESAMPLES`` resamples of the texts, ``[resamples, …]``.

    Texts with equal values are drawn together, by a multinomial draw, so memory grows with the different ones only.
    """
    kinds, numbers = np.unique(values, axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(values), numbers / len(values), RESAMPLES)  # [resamples, kinds]
    return np.tensordot(drawn, kinds, axes=1)


def _interval(found: Floats) -> tuple[float, float]:
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
