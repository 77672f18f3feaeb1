"""Where a classifier is right and wrong: scores with intervals, slices, confusions, confident mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from bertft_helpers import metrics
from bertft_helpers.data import repair
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import Predictions, bootstrap_interval
from bertft_helpers.inference import TextClassifier
from bertft_helpers.tables import visible

Chosen = NDArray[np.bool_]


class Slice(NamedTuple):
    """Some of the test texts: why they belong together, how many they are, accuracy with its 95 % interval."""

    group: str
    name: str
    count: int
    accuracy: float
    low: float
    high: float


class Mistake(NamedTuple):
    """A text whose label is not the predicted one; ``row`` counts from 0."""

    row: int
    label: int
    predicted: int
    probability: float


def scores_of(labels: np.ndarray, predicted: np.ndarray, label_names: Sequence[str]) -> dict[str, Any]:
    """Accuracy and macro F1 with bootstrap intervals, and each class's precision, recall, F1 and count."""
    count = len(label_names)
    by_class = metrics.class_scores(labels, predicted, count)
    present = by_class.support > 0
    return {
        "texts": len(labels),
        "accuracy": metrics.accuracy(labels, predicted),
        "accuracy_interval": bootstrap_interval(labels == predicted),
        "macro_f1": float(by_class.f1[present].mean()),
        "macro_f1_interval": _macro_f1_interval(labels, predicted, count),
        "classes": [
            {"label": name, "precision": float(p), "recall": float(r), "f1": float(f), "texts": int(n)}
            for name, p, r, f, n in zip(label_names, *by_class, strict=True)
        ],
    }


def _macro_f1_interval(labels: np.ndarray, predicted: np.ndarray, count: int) -> tuple[float, float]:
    """The bootstrap interval of the mean F1 over the classes that have labels, by resampled counts."""

    def f1_of(samples: np.ndarray, axis: int) -> np.ndarray:
        values = []
        for rows in samples.astype(int):
            scores = metrics.class_scores(labels[rows], predicted[rows], count)
            values.append(scores.f1[scores.support > 0].mean())
        return np.array(values)

    return bootstrap_interval(np.arange(len(labels)), f1_of, resamples=500)


def slices(
    texts: Sequence[str], lengths: Sequence[int], train_texts: Sequence[str], predictions: Predictions
) -> list[Slice]:
    """Accuracy by length, by words that training never saw, and by how sure the model is; empty slices are left out.

    ``lengths`` are in tokens, before anything is cut.
    """
    right = predictions.classes == predictions.labels
    sure = predictions.probabilities.max(axis=1)
    found = _thirds("length", np.asarray(lengths, dtype=float), right, lambda value: f"{value:.0f} tokens")
    known = set().union(*(words_of(text) for text in train_texts))
    unseen = np.array([share_unseen(text, known) for text in texts])
    for name, chosen in {
        "all known from training": unseen == 0,
        "up to a quarter new": (unseen > 0) & (unseen <= 0.25),
        "more than a quarter new": unseen > 0.25,
    }.items():
        found += _slice("words", name, chosen, right)
    for name, chosen in {
        "below 60 %": sure < 0.6,
        "60 to 90 %": (sure >= 0.6) & (sure < 0.9),
        "90 % and more": sure >= 0.9,
    }.items():
        found += _slice("the model's own confidence", name, chosen, right)
    return found


def words_of(text: str) -> set[str]:
    """The different words of a text in lower case."""
    return set(re.findall(r"\w+", text.lower()))


def share_unseen(text: str, known: set[str]) -> float:
    """The share of a text's different words that are not known; 0 for a text without words."""
    words = words_of(text)
    return len(words - known) / len(words) if words else 0.0


def _thirds(group: str, values: np.ndarray, right: Chosen, write: Callable[[float], str]) -> list[Slice]:
    """The shortest, middle and longest third; ties stay together, so a third may be empty."""
    low, high = np.quantile(values, [1 / 3, 2 / 3], method="lower")
    return [
        *_slice(group, f"up to {write(low)}", values <= low, right),
        *_slice(group, f"more, up to {write(high)}", (values > low) & (values <= high), right),
        *_slice(group, f"more than {write(high)}", values > high, right),
    ]


def _slice(group: str, name: str, chosen: Chosen, right: Chosen) -> list[Slice]:
    if not chosen.any():
        return []
    own = right[chosen]
    return [Slice(group, name, len(own), float(own.mean()), *bootstrap_interval(own))]


def weakest(found: Sequence[Slice], accuracy: float, least: int = 10) -> Slice | None:
    """The slice of at least ``least`` texts whose whole interval lies lowest below ``accuracy``, if there is one."""
    clear = [one for one in found if one.count >= least and one.high < accuracy]
    return min(clear, key=lambda one: one.accuracy, default=None)


def confident_mistakes(predictions: Predictions, count: int = 20) -> list[Mistake]:
    """The mistakes that the model was surest of; wrong labels in the data are often among them."""
    probabilities, classes = predictions.probabilities, predictions.classes
    wrong = np.flatnonzero(classes != predictions.labels)
    surest = sorted(wrong, key=lambda row: -probabilities[row, classes[row]])[:count]
    return [
        Mistake(int(row), int(predictions.labels[row]), int(classes[row]), float(probabilities[row, classes[row]]))
        for row in surest
    ]


def frequent_confusions(confusion: np.ndarray, count: int = 10) -> list[tuple[int, int, int]]:
    """The most frequent (label, predicted, times) off the diagonal."""
    pairs = [(int(i), int(j), int(confusion[i, j])) for i, j in np.argwhere(confusion > 0) if i != j]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))[:count]


def compare_methods(labels: np.ndarray, model: np.ndarray, other: np.ndarray) -> tuple[str, float]:
    """``better``, ``worse`` or ``no clear difference`` of a model against another method, by McNemar's exact test.

    A difference is called one at p < 0.05. Returns the word and p.
    """
    chance = metrics.mcnemar(labels, model, other)
    if chance >= 0.05:
        return "no clear difference", chance
    return ("better" if (model == labels).mean() > (other == labels).mean() else "worse"), chance


def score_texts(classifier: TextClassifier, dataset: Dataset) -> dict[str, Any]:
    """Scores as ``diagnosis.scores_of`` gives them, and ``without_text``, the number of rows left out.

    Raises ValueError for labels that the model does not know, and when no text is left.
    """
    names = classifier.label_names
    given = dataset.features["label"].names
    unknown = [name for name in given if name not in names]
    if unknown:
        raise UserError(
            f"the data has the labels {_listed(unknown)}, which the model does not know; it knows {_listed(names)}. "
            "Rename or remove them, or train a new model."
        )
    texts = [repair(text) for text in dataset["text"]]
    rows = [row for row, text in enumerate(texts) if text]
    if not rows:
        raise UserError(f"none of the {len(texts)} rows has a text")
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[given[label]] for label in dataset["label"]])[rows]
    predicted = [numbers[found.label] for found in classifier.predict([texts[row] for row in rows])]
    return {**scores_of(labels, np.array(predicted), names), "without_text": len(texts) - len(rows)}


def _listed(names: list[str]) -> str:
    shown = ", ".join(visible(name, 40) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
