"""Scores as pure functions of labels, predictions and probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from bertft_helpers.errors import UserError

__all__ = [
    "ClassScores",
    "Curve",
    "Floats",
    "Reliability",
    "accuracy",
    "area_under_roc",
    "average_precision",
    "class_scores",
    "confusion_matrix",
    "expected_calibration_error",
    "fit_temperature",
    "macro_f1",
    "matthews_correlation",
    "mcnemar",
    "precision_recall_curve",
    "reliability",
    "roc_curve",
    "sweep_threshold",
    "weighted_f1",
]

Floats = NDArray[np.float64]


class ClassScores(NamedTuple):
    """Precision, recall, F1 and number of labels of each class, all ``[num_labels]``."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: NDArray[np.int64]


class Curve(NamedTuple):
    """Points of a curve, all ``[points]``: one per different score, from the strictest threshold to the mildest."""

    x: Floats
    y: Floats
    thresholds: Floats


class Reliability(NamedTuple):
    """Mean confidence, accuracy and number of examples of each filled bin, all ``[filled bins]``."""

    confidence: Floats
    accuracy: Floats
    count: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.count


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The share of predictions equal to their label; both ``[examples]``. Raises ValueError on empty input.

    Written out in lesson 23.
    """
    labels, predictions = _paired(labels, predictions)
    return float((labels == predictions).mean())


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> NDArray[np.int64]:
    """Counts ``[num_labels, num_labels]``: row = true label, column = predicted label. Written out in lesson 23."""
    labels, predictions = _paired(labels, predictions)
    for name, values in (("label", labels), ("prediction", predictions)):
        if values.min() < 0 or values.max() >= num_labels:
            raise UserError(f"a {name} lies outside 0..{num_labels - 1}: found {values.min()}..{values.max()}")
    cells = labels * num_labels + predictions
    return np.bincount(cells, minlength=num_labels**2).reshape(num_labels, num_labels)


def class_scores(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> ClassScores:
    """Precision, recall and F1 of each class; a share of nothing counts 0, as in scikit-learn's ``zero_division=0``.

    Written out in lesson 23.
    """
    counts = confusion_matrix(labels, predictions, num_labels)
    hits, answered, true = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    precision = hits / np.maximum(answered, 1)
    recall = hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(answered + true, 1)
    return ClassScores(precision, recall, f1, true)


def macro_f1(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> float:
    """The plain mean of the F1 scores of the classes that occur, among the labels or among the predictions.

    The definition is scikit-learn's ``f1_score(average="macro", zero_division=0)``. Written out in lesson 23.
    """
    seen = np.union1d(labels, predictions)
    return float(class_scores(labels, predictions, num_labels).f1[seen].mean())


def weighted_f1(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> float:
    """The mean of the classes' F1 scores, each weighted by its number of labels. Written out in lesson 23."""
    scores = class_scores(labels, predictions, num_labels)
    return float((scores.f1 * scores.support).sum() / scores.support.sum())


def matthews_correlation(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> float:
    """The correlation of labels and predictions for any number of classes (Gorodkin 2004): 1 perfect, 0 by chance.

    0 when all labels or all predictions are one class. Written out in lesson 23.
    """
    counts = confusion_matrix(labels, predictions, num_labels).astype(float)
    true, answered, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * total - true @ answered
    scale = np.sqrt((total**2 - true @ true) * (total**2 - answered @ answered))
    return float(covariance / scale) if scale > 0 else 0.0


def sweep_threshold(is_class: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Hits, false alarms and threshold at each different score, from the highest down, all ``[different scores]``.

    ``is_class`` and ``scores`` are ``[examples]``. Raises ValueError unless examples of the class and others are there.
    Written out in lesson 23.
    """
    is_class, scores = np.asarray(is_class, dtype=bool), np.asarray(scores, dtype=float)
    if is_class.shape != scores.shape or is_class.ndim != 1 or not 0 < is_class.sum() < is_class.size:
        raise UserError(
            f"is_class {is_class.shape} has {is_class.sum()} true values for scores {scores.shape}: both must be lists "
            "of one length, with at least one example of the class and one outside it"
        )
    order = np.argsort(-scores, kind="stable")
    is_class, scores = is_class[order], scores[order]
    last_of_ties = np.append(scores[1:] != scores[:-1], True)
    return np.cumsum(is_class)[last_of_ties], np.cumsum(~is_class)[last_of_ties], scores[last_of_ties]


def roc_curve(is_class: ArrayLike, scores: ArrayLike) -> Curve:
    """False-positive rate (x) against true-positive rate (y) as the threshold on ``scores`` falls.

    Written out in lesson 23.
    """
    hits, false_alarms, thresholds = sweep_threshold(is_class, scores)
    x, y = false_alarms / false_alarms[-1], hits / hits[-1]
    return Curve(np.append(0.0, x), np.append(0.0, y), np.append(np.inf, thresholds))


def precision_recall_curve(is_class: ArrayLike, scores: ArrayLike) -> Curve:
    """Recall (x) against precision (y) as the threshold on ``scores`` falls. Written out in lesson 23."""
    hits, false_alarms, thresholds = sweep_threshold(is_class, scores)
    return Curve(hits / hits[-1], hits / (hits + false_alarms), thresholds)


def area_under_roc(is_class: ArrayLike, scores: ArrayLike) -> float:
    """The chance that an example of the class scores above one outside it, ties counting half.

    Written out in lesson 23.
    """
    curve = roc_curve(is_class, scores)
    return float(np.trapezoid(curve.y, curve.x))


def average_precision(is_class: ArrayLike, scores: ArrayLike) -> float:
    """The mean precision over the recall's steps, not interpolated, as in scikit-learn. Written out in lesson 23."""
    curve = precision_recall_curve(is_class, scores)
    return float((np.diff(curve.x, prepend=0.0) * curve.y).sum())


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> Reliability:
    """Confidence against accuracy in ``bins`` equal bins of the largest probability; ``probabilities`` ``[examples,
    labels]``. Written out in lesson 23.
    """
    labels, probabilities = _scored(labels, probabilities)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(numbers, minlength=bins)
    filled = count > 0
    sums = (np.bincount(numbers, weights=values, minlength=bins) for values in (confidence, correct))
    mean_confidence, share_correct = (total[filled] / count[filled] for total in sums)
    return Reliability(mean_confidence, share_correct, count[filled])


def expected_calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """The distance of confidence and accuracy, averaged over examples (Guo et al. 2017). Written out in lesson 23."""
    confidence, share_correct, count = reliability(labels, probabilities, bins)
    return float((np.abs(confidence - share_correct) * count).sum() / count.sum())


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The T between 1/20 and 20 for which ``softmax(logits / T)`` has the smallest cross-entropy (Guo et al. 2017).

    Fit it on validation texts. Written out in lesson 23.
    """
    labels, logits = _scored(labels, logits)
    ratio = (5**0.5 - 1) / 2
    low, high = -np.log(20.0), np.log(20.0)
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if _cross_entropy(logits / np.exp(left), labels) < _cross_entropy(logits / np.exp(right), labels):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def mcnemar(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> float:
    """The chance of so uneven a split of the examples that exactly one of two methods gets right, were both equal.

    The exact two-sided test of McNemar 1947; ``first`` and ``second`` are predictions ``[examples]``. 1.0 when they
    are right on the same examples. Written out in lesson 23.
    """
    labels, first = _paired(labels, first)
    _, second = _paired(labels, second)
    only_first = int(((first == labels) & (second != labels)).sum())
    only_second = int(((first != labels) & (second == labels)).sum())
    trials, fewer = only_first + only_second, min(only_first, only_second)
    tail = float(binom.cdf(fewer, trials, 0.5))
    return min(1.0, 2 * tail)


def _cross_entropy(logits: Floats, labels: NDArray[np.int64]) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sums - shifted[np.arange(len(labels)), labels]).mean())


def _paired(labels: ArrayLike, predictions: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise UserError(f"labels {labels.shape} and predictions {predictions.shape} must be two lists of one length")
    if labels.size == 0:
        raise UserError("no examples: a score of nothing is not defined")
    return labels, predictions


def _scored(labels: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    labels, values = np.asarray(labels), np.asarray(values, dtype=float)
    if values.ndim != 2 or labels.shape != values.shape[:1] or labels.size == 0:
        raise UserError(f"labels {labels.shape} need values [examples, labels], got {values.shape}")
    if labels.min() < 0 or labels.max() >= values.shape[1]:
        raise UserError(f"a label lies outside 0..{values.shape[1] - 1}: found {labels.min()}..{labels.max()}")
    return labels, values
