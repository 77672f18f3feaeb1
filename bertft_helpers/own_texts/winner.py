"""Which of the methods a run keeps as its model: what does best on the validation texts, or what was asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import PreTrainedModel

from bertft_helpers.batching import make_loader
from bertft_helpers.evaluation import Predictions, predict
from bertft_helpers.first_token import first_token_only
from bertft_helpers.inference import TextClassifier
from bertft_helpers.mean_pooled import has_mean, mean_classifier
from bertft_helpers.metrics import accuracy
from bertft_helpers.own_texts.baselines import COUNTED, FROZEN, Baseline
from bertft_helpers.own_texts.counted_words import CountedWords, LinearHead, holds_counted_words
from bertft_helpers.own_texts.familiarity import WithoutHead
from bertft_helpers.own_texts.prepared import PARTS, Prepared
from bertft_helpers.own_texts.scores import compare_methods
from bertft_helpers.own_texts.settings import BEST, KEEPS, TaskSettings
from bertft_helpers.pretrained import load_encoder, load_tokenizer

__all__ = [
    "ASKED",
    "FINE_TUNED",
    "Learned",
    "Predicted",
    "Winner",
    "choose",
    "classifier_of",
    "kind_of",
    "predict_parts",
    "text_classifier",
    "told",
]

FINE_TUNED = "fine-tuned"
ASKED = dict(zip(KEEPS, (None, FINE_TUNED, FROZEN, COUNTED), strict=True))  # by --keep


class Winner(NamedTuple):
    """The method that is saved, and why in a sentence."""

    name: str
    why: str


class Learned(Protocol):
    """What a linear model has learned: its ``head``, and the ``counter`` where it counts words."""

    @property
    def head(self) -> LinearHead | None: ...

    @property
    def counter(self) -> TfidfVectorizer | None: ...


def choose(validation: Predictions, savable: Sequence[Baseline], keep: str = BEST) -> Winner:
    """The method to save by ``validation``, the fine-tuned model's predictions of the validation texts.

    A baseline is taken where the fine-tuned model is worse than it by ``scores.compare_methods``, the rule by which the
    report judges; of several the most accurate. The test texts have no say: what they say of the winner stays honest.
    """
    if asked := ASKED[keep]:
        return Winner(asked, f"The model that is saved is {told(asked)}, as --keep {keep} asks.")
    labels, tuned = validation.labels, validation.classes
    answers = {one.name: one.validation for one in savable if one.validation is not None}
    compared = {name: compare_methods(labels, tuned, own) for name, own in answers.items()}
    better = [name for name, (outcome, _) in compared.items() if outcome == "worse"]
    best = max(better or answers, key=lambda name: accuracy(labels, answers[name]))
    measured = (
        f"on the {len(labels)} validation texts (accuracy {accuracy(labels, answers[best]):.3f} against "
        f"{accuracy(labels, tuned):.3f} of fine-tuning, p = {compared[best][1]:.2g})"
    )
    if better:
        return Winner(best, f"The model that is saved is {told(best)}: it did better {measured}.")
    return Winner(
        FINE_TUNED,
        f"The model that is saved is {told(FINE_TUNED)}: {told(best)} did not do clearly better {measured}.",
    )


def told(name: str) -> str:
    """A method's name in a sentence."""
    return "the fine-tuned model" if name == FINE_TUNED else f"the baseline {name}"


def classifier_of(
    baseline: Learned, prepared: Prepared, settings: TaskSettings, max_length: int, device: torch.device
) -> TextClassifier | CountedWords:
    """A baseline that has learned something as a classifier that can be saved; its temperature is 1."""
    assert baseline.head is not None
    if baseline.counter is not None:
        return CountedWords(baseline.counter, baseline.head, prepared.label_names)
    weight, bias = (torch.from_numpy(own).float() for own in baseline.head)
    frozen = mean_classifier(load_encoder(settings.checkpoint), weight, bias, prepared.label_names)
    frozen.to(device)  # type: ignore[arg-type]  # transformers hides that it is a method
    return text_classifier(frozen, prepared, settings, max_length)


def text_classifier(
    model: PreTrainedModel, prepared: Prepared, settings: TaskSettings, max_length: int
) -> TextClassifier:
    """A model of a run as a classifier that reads texts as they were read in training; its temperature is 1."""
    stride = None if prepared.windows is None else prepared.windows.stride
    tokenizer = load_tokenizer(settings.checkpoint)
    return TextClassifier(model, tokenizer, max_length, policy=settings.policy, stride=stride)


def kind_of(folder: Path) -> str:
    """The name of the method in a model's folder."""
    if holds_counted_words(folder):
        return COUNTED
    return FROZEN if has_mean(folder) else FINE_TUNED


class Predicted(NamedTuple):
    """The predictions of the validation and the test part, and how many texts a second that was, reading excluded.

    ``vectors`` ``[texts, width]`` are what the model decided by, by part; counted words have none.
    """

    predictions: dict[str, Predictions]
    vectors: dict[str, np.ndarray]
    texts_per_second: float


def predict_parts(classifier: TextClassifier | CountedWords, prepared: Prepared) -> Predicted:
    """Predict the two parts with the temperature left out."""
    start = time.perf_counter()
    found = {part: _predict(classifier, prepared, part) for part in PARTS[1:]}
    predictions = {part: own for part, (own, _) in found.items()}
    vectors = {part: own for part, (_, own) in found.items() if own is not None}
    count = sum(len(own.labels) for own in predictions.values())
    return Predicted(predictions, vectors, round(count / max(time.perf_counter() - start, 1e-6), 1))


def _predict(
    classifier: TextClassifier | CountedWords, prepared: Prepared, part: str
) -> tuple[Predictions, np.ndarray | None]:
    examples = prepared.examples[part]
    if isinstance(classifier, CountedWords):
        return Predictions(classifier.logits(list(prepared.parts[part]["text"])), np.array(examples.labels)), None
    body = WithoutHead(classifier.model)
    windows = prepared.windows
    reader, count = (body, 64) if windows is None else (windows.over(body, 16, examples.pad_id), 16)
    with first_token_only(classifier.model):
        vectors = predict(reader, make_loader(examples, count))
    with torch.inference_mode():
        logits = body.head(torch.from_numpy(vectors.logits).to(classifier.model.device)).cpu().numpy()
    return Predictions(logits, vectors.labels), vectors.logits
