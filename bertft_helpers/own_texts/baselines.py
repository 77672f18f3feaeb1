"""What a fine-tuned model must beat: the largest class, counted words, and a frozen encoder under a regression."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import BertModel

from bertft_helpers.batching import EncodedTexts
from bertft_helpers.features import encode_once
from bertft_helpers.runtime import mixed_precision
from bertft_helpers.speed.throughput import quick_attention

__all__ = ["STRENGTHS", "Baseline", "counted_words", "frozen_features", "majority"]

STRENGTHS = {"words": (1.0, 10.0, 100.0), "features": (0.01, 0.1, 1.0)}  # C, the inverse of regularisation


class Baseline(NamedTuple):
    """A method's predictions of the test texts ``[examples]``, what it did, and the processor seconds it took."""

    name: str
    method: str
    predictions: np.ndarray
    seconds: float


def majority(train_labels: Sequence[int], test_count: int) -> Baseline:
    """Always the largest class of the training texts."""
    largest = int(np.bincount(train_labels).argmax())
    return Baseline("largest class", "always the same answer", np.full(test_count, largest), 0.0)


def counted_words(texts: Mapping[str, Sequence[str]], labels: Mapping[str, Sequence[int]]) -> Baseline:
    """Logistic regression on TF-IDF of words and pairs of words; ``texts`` and ``labels`` map part -> values.

    Works where texts hold no words of two letters, too: then pieces of up to three characters are counted.
    """
    start = time.process_time()
    try:
        counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=200_000).fit(texts["train"])
    except ValueError:  # an empty vocabulary: single letters, or signs only
        counter = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=200_000).fit(texts["train"])
    counted = {part: counter.transform(own) for part, own in texts.items()}
    predictions, strength = _best_regression(counted, labels, "words", scaled=False)
    method = f"TF-IDF of words and pairs, logistic regression with C={strength:g}"
    return Baseline("counted words", method, predictions, time.process_time() - start)


def frozen_features(encoder: BertModel, examples: Mapping[str, EncodedTexts], precision: str = "float32") -> Baseline:
    """Logistic regression on the mean vectors of an encoder that was not fine-tuned; part -> examples."""
    start = time.process_time()
    quick_attention(encoder, precision)
    with mixed_precision(encoder.device, getattr(torch, precision)):
        features = {part: encode_once(encoder, own).numpy() for part, own in examples.items()}
    labels = {part: own.labels for part, own in examples.items()}
    predictions, strength = _best_regression(features, labels, "features", scaled=True)
    method = f"mean of the pre-trained vectors, logistic regression with C={strength:g}"
    return Baseline("frozen features", method, predictions, time.process_time() - start)


def _best_regression(
    inputs: Mapping[str, Any], labels: Mapping[str, Sequence[int]], kind: str, scaled: bool
) -> tuple[np.ndarray, float]:
    """Predictions of the test part by the strength that does best on the validation part, and that strength."""
    fitted = []
    for strength in STRENGTHS[kind]:
        regression = LogisticRegression(C=strength, max_iter=1000)
        model = make_pipeline(StandardScaler(), regression) if scaled else regression
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # many classes of few texts, slow convergence: the score tells
            model.fit(inputs["train"], labels["train"])
        fitted.append((model.score(inputs["validation"], labels["validation"]), -strength, model))
    _, negative, best = max(fitted, key=lambda entry: entry[:2])  # a tie goes to the simpler model
    return best.predict(inputs["test"]), -negative
