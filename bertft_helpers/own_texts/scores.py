"""Where a classifier is right and wrong: scores with intervals, slices, confusions, confident mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.stats import binom

from bertft_helpers import metrics
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import Predictions
from bertft_helpers.inference import Classifier
from bertft_helpers.own_texts.abstaining import ABSTAIN, Abstaining, precision_interval, share_answered
from bertft_helpers.tables import visible
from bertft_helpers.validation import is_blank

__all__ = [
    "BLOCK",
    "Chosen",
    "Mistake",
    "Slice",
    "accuracy_interval",
    "compare_methods",
    "confident_mistakes",
    "frequent_confusions",
    "macro_f1_interval",
    "numbers_of",
    "score_texts",
    "scores_of",
    "share_unseen",
    "slices",
    "weakest",
    "words_of",
]

Chosen = NDArray[np.bool_]
BLOCK = 4096  # texts predicted together: enough to sort by length, few enough to hold


class Slice(NamedTuple):
    """Some of the test texts: why they belong together, how many they are, accuracy with its 95 % interval."""

    group: str
    name: str
    count: int  # type: ignore[assignment]  # hides tuple.count
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
    """Accuracy and macro F1 with 95 % intervals, and each class's precision, recall, F1 and count; ready for JSON.

    ``labels`` and ``predicted`` are ``[examples]``. Macro F1 is ``metrics.macro_f1``: over the classes that occur.
    """
    count = len(label_names)
    by_class = metrics.class_scores(labels, predicted, count)
    return {
        "texts": len(labels),
        "accuracy": metrics.accuracy(labels, predicted),
        "accuracy_interval": accuracy_interval(labels == predicted),
        "macro_f1": metrics.macro_f1(labels, predicted, count),
        "macro_f1_interval": macro_f1_interval(labels, predicted, count),
        "classes": [
            {"label": name, "precision": float(p), "recall": float(r), "f1": float(f), "texts": int(n)}
            for name, p, r, f, n in zip(label_names, *by_class, strict=True)
        ],
    }


def accuracy_interval(right: Chosen) -> tuple[float, float]:
    """The 95 % bootstrap interval of the share of right answers, ``right`` ``[examples]``, whatever their number.

    A resample of n answers holds a binomial number of right ones, whose quantiles are known: what
    ``evaluation.bootstrap_interval`` finds by drawing, here without a draw. Where all answers are right, or none, all
    resamples are alike and show no doubt; there it is ``precision_interval``.
    """
    if right.all() or not right.any():
        return precision_interval(int(right.sum()), len(right))
    low, high = binom.interval(0.95, len(right), right.mean())
    return float(low) / len(right), float(high) / len(right)


def macro_f1_interval(
    labels: np.ndarray, predicted: np.ndarray, num_labels: int, resamples: int = 500
) -> tuple[float, float]:
    """The 95 % bootstrap interval of macro F1; needs memory for the pairs of classes that occur, not for the texts.

    A resample of the texts draws each pair (label, predicted) in proportion to its count: a multinomial draw.
    """
    pairs, counts = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    generator = np.random.default_rng(0)
    found = [
        _macro_f1(pairs, generator.multinomial(len(labels), counts / len(labels)), num_labels) for _ in range(resamples)
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _macro_f1(pairs: np.ndarray, counts: np.ndarray, num_labels: int) -> float:
    """Macro F1 of ``counts`` ``[pairs]`` texts of each pair ``[2, pairs]``, over the classes that occur."""
    labels, predicted = pairs
    true, answered, hits = (
        np.bincount(classes, weights, num_labels)
        for classes, weights in ((labels, counts), (predicted, counts), (labels, counts * (labels == predicted)))
    )
    occurring = true + answered > 0
    return float((2 * hits[occurring] / (true + answered)[occurring]).mean())


def slices(
    texts: Iterable[str], lengths: Sequence[int], train_texts: Iterable[str], predictions: Predictions
) -> list[Slice]:
    """Accuracy by length, by words that training never saw, and by how sure the model is; empty slices are left out.

    ``lengths`` are in tokens, before anything is cut. Texts are read once, one by one.
    """
    right = predictions.classes == predictions.labels
    sure = predictions.probabilities.max(axis=1)
    found = _thirds("length", np.asarray(lengths, dtype=float), right, lambda value: f"{value:.0f} tokens")
    known: set[str] = set()
    for text in train_texts:  # one at a time: the words of all texts are many times their different ones
        known |= words_of(text)
    unseen = np.fromiter((share_unseen(text, known) for text in texts), float)
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
    return [Slice(group, name, len(own), float(own.mean()), *accuracy_interval(own))]


def weakest(found: Sequence[Slice], accuracy: float, least: int = 10) -> Slice | None:
    """The slice of at least ``least`` texts whose whole interval lies lowest below ``accuracy``, if there is one."""
    clear = [one for one in found if one.count >= least and one.high < accuracy]
    return min(clear, key=lambda one: one.accuracy, default=None)


def confident_mistakes(predictions: Predictions, count: int = 20) -> list[Mistake]:
    """The mistakes that the model was surest of; wrong labels in the data are often among them."""
    sure, classes = predictions.probabilities.max(axis=1), predictions.classes
    wrong = np.flatnonzero(classes != predictions.labels)
    surest = wrong[np.argsort(-sure[wrong], kind="stable")[:count]]
    return [Mistake(int(row), int(predictions.labels[row]), int(classes[row]), float(sure[row])) for row in surest]


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


def score_texts(classifier: Classifier, dataset: Dataset) -> dict[str, Any]:
    """Scores as ``scores_of`` gives them for all answers, and ``without_text``, the number of rows left out.

    For a classifier that abstains ``answered`` holds the coverage, and the precision of the answers that it gives.

    The texts may all be of one class. They are predicted in blocks, of which only the answers are kept. Raises
    ValueError for labels that the model does not know, and when no text is left.
    """
    names = classifier.label_names
    numbers = numbers_of(dataset.features["label"].names, names)
    labels: list[int] = []
    predicted: list[int] = []
    answered: list[bool] = []
    for block in dataset.iter(BLOCK):
        texts = block["text"]
        filled = [row for row, text in enumerate(texts) if not is_blank(classifier.prepare(text))]
        labels += [numbers[block["label"][row]] for row in filled]
        found = classifier.predict([texts[row] for row in filled])
        predicted += [names.index(max(names, key=one.probabilities.__getitem__)) for one in found]
        answered += [one.label != ABSTAIN for one in found]
    if not labels:
        raise UserError(f"none of the {len(dataset)} rows has a text")
    scores = scores_of(np.array(labels), np.array(predicted), names)
    if isinstance(classifier, Abstaining):
        scores["answered"] = share_answered(np.array(labels) == np.array(predicted), np.array(answered))
    return {**scores, "without_text": len(dataset) - len(labels)}


def numbers_of(given: Sequence[str], known: Sequence[str]) -> list[int]:
    """The model's number of each label of the data."""
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UserError(
            f"the data has the labels {_listed(unknown)}, which the model does not know; it knows {_listed(known)}. "
            "Rename or remove them, or train a new model."
        )
    return [known.index(name) for name in given]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(visible(name, 40) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
