"""``bertft audit``: which labels of a data set are probably wrong, by confident learning (Northcutt et al. 2021).

Each text is judged by a model that has not seen it: frozen features under a logistic regression, fitted on the other
folds. A label is suspected where the model is as sure of another class as it usually is of texts that have that class.
"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from datasets import Dataset
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bertft_helpers.batching import EncodedTexts, encode, truncate
from bertft_helpers.data import clean
from bertft_helpers.errors import UserError
from bertft_helpers.files import new_file
from bertft_helpers.own_texts.baselines import mean_vectors
from bertft_helpers.own_texts.folder import Say
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.pretrained import load_encoder, load_tokenizer
from bertft_helpers.reading.report import FOUND_OUT, Format
from bertft_helpers.runtime import pick_device
from bertft_helpers.speed.choice import find_choice, use_process

__all__ = ["FEWEST", "FOLDS", "STRENGTH", "Audit", "Suspect", "audit", "write_suspects"]

FOLDS = 5
FEWEST = 2  # texts of a class: one to judge and one to judge by
# C of the regression, a strong one: of 0.001, 0.01 and 0.1 it found as many planted wrong labels among the bundled
# headlines and leads, and suspected the fewest right ones.
STRENGTH = 0.001


class Suspect(NamedTuple):
    """A text whose label is probably wrong; ``row`` is its name in the data, as in a run's removed rows.

    ``probability`` is that of its label, ``likelier`` the most probable one.
    """

    row: str
    text: str
    label: str
    probability: float
    likelier: str
    likelier_probability: float


class Audit(NamedTuple):
    """The suspects, the most suspect first, among ``texts`` texts; ``left_out`` counts what was not judged."""

    suspects: list[Suspect]
    texts: int
    left_out: dict[str, int]


def audit(
    source: str,
    text_column: str = "text",
    label_column: str = "label",
    checkpoint: str = "bundled",
    how: Format = FOUND_OUT,
    device: str | None = None,
    on_note: Say = print,
) -> Audit:
    """Suspect the labels of a source that ``load_source`` reads; nothing in it is changed.

    Texts that occur twice are judged once; those under two labels, and classes of a single text, are left out and
    counted. Raises what reading raises, and UserError where fewer than two classes are left.
    """
    dataset, reading = load_source(source, text_column, label_column, how)
    on_note(reading.summary())
    for note in reading.notes:
        on_note(f"note: {note}")
    kept, removed = clean(dataset)
    left_out = {str(reason): int(count) for reason, count in removed["reason"].value_counts().items()}
    labels = np.array(kept["label"][:], dtype=int)
    counts = np.bincount(labels, minlength=len(kept.features["label"].names))
    lonely = counts[labels] < FEWEST
    if lonely.any():
        left_out["single text of its class"] = int(lonely.sum())
        kept, labels = kept.select(np.flatnonzero(~lonely)), labels[~lonely]
    if len(Counter(labels.tolist())) < 2:
        raise UserError(f"{source} has no two classes of at least {FEWEST} different texts, so no label can be judged")
    probabilities = _out_of_fold(_features(list(kept["text"]), checkpoint, device), labels)
    names, classes = kept.features["label"].names, np.unique(labels)
    return Audit(_suspects(kept, labels, classes, names, probabilities), len(labels), left_out)


def _features(texts: list[str], checkpoint: str, device: str | None) -> np.ndarray:
    """The mean vectors of the frozen encoder, ``[texts, width]``."""
    chosen = pick_device(device)
    choice = find_choice(chosen)
    use_process(choice)
    tokenizer = load_tokenizer(checkpoint)
    length = min(256, tokenizer.model_max_length)
    ids = [truncate(own, length, "head+tail") for own in encode(texts, tokenizer)]
    encoder = load_encoder(checkpoint).to(chosen)  # type: ignore[arg-type]  # transformers hides that it is a method
    return mean_vectors(encoder, EncodedTexts(ids, [0] * len(ids), tokenizer.pad_token_id or 0), choice.precision)


def _out_of_fold(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probabilities ``[texts, classes that occur]`` of each text by a regression that was fitted without it."""
    folds = min(FOLDS, int(np.bincount(labels).max()))  # a rarer class is in fewer of them, and always in training
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
    divided = StratifiedKFold(folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are not in every fold
        return cross_val_predict(regression, features, labels, cv=divided, method="predict_proba")


def _suspects(
    dataset: Dataset, labels: np.ndarray, classes: np.ndarray, names: list[str], probabilities: np.ndarray
) -> list[Suspect]:
    from cleanlab.filter import find_label_issues

    numbers = np.searchsorted(classes, labels)
    rows = find_label_issues(numbers, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    ids, texts = dataset["id"][:], dataset["text"][:]
    found = []
    for row in map(int, rows):
        likelier = int(probabilities[row].argmax())
        own, other = probabilities[row, [numbers[row], likelier]].tolist()
        found.append(Suspect(str(ids[row]), texts[row], names[labels[row]], own, names[classes[likelier]], other))
    return found


def write_suspects(found: Audit, out: Path) -> None:
    """Write the suspects as a CSV file, complete or not at all."""
    with new_file(out) as draft:
        pd.DataFrame(found.suspects, columns=list(Suspect._fields)).to_csv(draft, index=False)
