"""A trained classifier on labelled texts that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset

from bertft_helpers.data import repair
from bertft_helpers.diagnosis import scores_of
from bertft_helpers.excerpts import visible
from bertft_helpers.inference import TextClassifier


def score_texts(classifier: TextClassifier, dataset: Dataset) -> dict[str, Any]:
    """Scores as ``diagnosis.scores_of`` gives them, and ``without_text``, the number of rows left out.

    Raises ValueError for labels that the model does not know, and when no text is left.
    """
    names = classifier.label_names
    given = dataset.features["label"].names
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"the data has the labels {_listed(unknown)}, which the model does not know; it knows {_listed(names)}. "
            "Rename or remove them, or train a new model."
        )
    texts = [repair(text) for text in dataset["text"]]
    rows = [row for row, text in enumerate(texts) if text]
    if not rows:
        raise ValueError(f"none of the {len(texts)} rows has a text")
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[given[label]] for label in dataset["label"]])[rows]
    predicted = [numbers[found.label] for found in classifier.predict([texts[row] for row in rows])]
    return {**scores_of(labels, np.array(predicted), names), "without_text": len(texts) - len(rows)}


def _listed(names: list[str]) -> str:
    shown = ", ".join(visible(name, 40) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
