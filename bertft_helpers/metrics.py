"""Scores as pure functions of labels, predictions and probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The share of predictions equal to their label; both ``[examples]``. Raises ValueError on empty input."""
    labels, predictions = _paired(labels, predictions)
    return float((labels == predictions).mean())


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> NDArray[np.int64]:
    """Counts ``[num_labels, num_labels]``: row = true label, column = predicted label."""
    labels, predictions = _paired(labels, predictions)
    for name, values in (("label", labels), ("prediction", predictions)):
        if values.min() < 0 or values.max() >= num_labels:
            raise ValueError(f"a {name} lies outside 0..{num_labels - 1}: found {values.min()}..{values.max()}")
    cells = labels * num_labels + predictions
    return np.bincount(cells, minlength=num_labels**2).reshape(num_labels, num_labels)


def macro_f1(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> float:
    """The plain mean of the classes' F1 scores; a class with neither labels nor predictions counts 0.

    The definition is scikit-learn's ``f1_score(average="macro", zero_division=0)`` over all ``num_labels`` classes.
    """
    counts = confusion_matrix(labels, predictions, num_labels)
    hits = np.diag(counts)
    seen = counts.sum(axis=0) + counts.sum(axis=1)  # predicted + true, per class
    return float(np.where(seen > 0, 2 * hits / np.maximum(seen, 1), 0.0).mean())


def _paired(labels: ArrayLike, predictions: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and predictions {predictions.shape} must be two lists of one length")
    if labels.size == 0:
        raise ValueError("no examples: a score of nothing is not defined")
    return labels, predictions
