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
from bertft_helpers.own_texts.counted_words import LinearHead
from bertft_helpers.own_texts.whole_texts import WindowSize
from bertft_helpers.runtime import mixed_precision
from bertft_helpers.speed.throughput import quick_attention
from bertft_helpers.windows import pool_windows

__all__ = [
    "COUNTED",
    "FROZEN",
    "STRENGTHS",
    "Baseline",
    "counted_words",
    "fit_counter",
    "frozen_features",
    "head_of",
    "majority",
    "mean_vectors",
]

COUNTED, FROZEN = "counted words", "frozen features"
STRENGTHS = {COUNTED: (1.0, 10.0, 100.0), FROZEN: (0.01, 0.1, 1.0)}  # C, the inverse of regularisation


class Baseline(NamedTuple):
    """A method's predictions of the test texts ``[examples]``, what it did, and the processor seconds it took.

    Where it has learned something, also its ``validation`` predictions and its ``head``; where it counts words, the
    ``counter``.
    """

    name: str
    method: str
    predictions: np.ndarray
    seconds: float
    validation: np.ndarray | None = None
    head: LinearHead | None = None
    counter: TfidfVectorizer | None = None


def majority(train_labels: Sequence[int], test_count: int) -> Baseline:
    """Always the largest class of the training texts."""
    largest = int(np.bincount(train_labels).argmax())
    return Baseline("largest class", "always the same answer", np.full(test_count, largest), 0.0)


def counted_words(texts: Mapping[str, Sequence[str]], labels: Mapping[str, Sequence[int]]) -> Baseline:
    """Logistic regression on TF-IDF of words and pairs of words; ``texts`` and ``labels`` map part -> values."""
    start = time.process_time()
    counter = fit_counter(texts["train"])
    counted = {part: counter.transform(own) for part, own in texts.items()}
    regression, strength = _best_regression(counted, labels, COUNTED)
    method = f"TF-IDF of words and pairs, logistic regression with C={strength:g}"
    test, validation = (regression.predict(counted[part]) for part in ("test", "validation"))
    return Baseline(COUNTED, method, test, time.process_time() - start, validation, head_of(regression), counter)


def fit_counter(texts: Sequence[str]) -> TfidfVectorizer:
    """TF-IDF of words and pairs of words, fitted.

    Works where texts hold no words of two letters, too: then pieces of up to three characters are counted.
    """
    try:
        return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=200_000).fit(texts)
    except ValueError:  # an empty vocabulary: single letters, or signs only
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=200_000).fit(texts)


def frozen_features(
    encoder: BertModel,
    examples: Mapping[str, EncodedTexts],
    precision: str = "float32",
    windows: WindowSize | None = None,
) -> Baseline:
    """Logistic regression on the mean vectors of an encoder that was not fine-tuned; part -> examples.

    With ``windows`` a text's vector is the mean of theirs.
    """
    start = time.process_time()
    features = {part: mean_vectors(encoder, own, precision, windows) for part, own in examples.items()}
    labels = {part: own.labels for part, own in examples.items()}
    pipeline, strength = _best_regression(features, labels, FROZEN)
    method = f"mean of the pre-trained vectors, logistic regression with C={strength:g}"
    test, validation = (pipeline.predict(features[part]) for part in ("test", "validation"))
    scaler, regression = (step for _, step in pipeline.steps)
    return Baseline(FROZEN, method, test, time.process_time() - start, validation, head_of(regression, scaler))


def mean_vectors(
    encoder: BertModel, examples: EncodedTexts, precision: str = "float32", windows: WindowSize | None = None
) -> np.ndarray:
    """The mean vectors of a frozen encoder, ``[examples, width]``, computed in ``precision``."""
    quick_attention(encoder, precision)
    apart, counts = (examples, None) if windows is None else windows.apart(examples)
    with mixed_precision(encoder.device, getattr(torch, precision)):
        vectors = encode_once(encoder, apart)
    return (vectors if counts is None else pool_windows(vectors, counts, "mean")).numpy()


def _best_regression(inputs: Mapping[str, Any], labels: Mapping[str, Sequence[int]], kind: str) -> tuple[Any, float]:
    """The regression of the strength that does best on the validation part, fitted, and that strength."""
    fitted = []
    for strength in STRENGTHS[kind]:
        regression = LogisticRegression(C=strength, max_iter=1000)
        model = make_pipeline(StandardScaler(), regression) if kind == FROZEN else regression
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # many classes of few texts, slow convergence: the score tells
            model.fit(inputs["train"], labels["train"])
        fitted.append((model.score(inputs["validation"], labels["validation"]), -strength, model))
    _, negative, best = max(fitted, key=lambda entry: entry[:2])  # a tie goes to the simpler model
    return best, -negative


def head_of(regression: LogisticRegression, scaler: StandardScaler | None = None) -> LinearHead:
    """The regression as one linear layer, on features as they are where a scaler stood between.

    Of two classes scikit-learn stores the second alone, whose logit stands against 0.
    """
    weight, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.concatenate([[0.0], bias])
    if scaler is not None:
        weight = weight / scaler.scale_
        bias = bias - weight @ scaler.mean_
    return LinearHead(weight.astype(np.float64), bias.astype(np.float64))
