"""What a fine-tuned model for several labels must beat: the most frequent set, counted words, and a frozen encoder."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from transformers import BertModel

from bertft_helpers.batching import EncodedTexts
from bertft_helpers.metrics import Floats
from bertft_helpers.own_texts.baselines import COUNTED, FROZEN, STRENGTHS, fit_counter, mean_vectors
from bertft_helpers.own_texts.counted_words import LinearHead
from bertft_helpers.own_texts.several.dividing import Targets
from bertft_helpers.own_texts.whole_texts import WindowSize
from bertft_helpers.several_labels import f1_scores, tune_thresholds

__all__ = ["FREQUENT", "Labels", "Method", "counted_words", "frozen_features", "most_frequent_set", "tuned"]

FREQUENT = "most frequent set"
Labels = Mapping[str, Targets]


@dataclasses.dataclass(frozen=True)
class Method:
    """A method's answers ``[texts, labels]`` by part, and what it did in how many processor seconds.

    Where it gives probabilities, also its ``thresholds`` ``[labels]``; where it is a linear model its ``head``, and
    where it counts words the ``counter``.
    """

    name: str
    description: str
    answers: dict[str, Targets]
    thresholds: Floats | None = None
    seconds: float = 0.0
    head: LinearHead | None = None
    counter: TfidfVectorizer | None = None


def tuned(name: str, description: str, logits: Mapping[str, Floats], validation: Targets) -> Method:
    """A method by its logits, with the thresholds that suit the validation texts best."""
    probabilities = {part: expit(own) for part, own in logits.items()}
    thresholds = tune_thresholds(validation, probabilities["validation"])
    return Method(name, description, {part: own >= thresholds for part, own in probabilities.items()}, thresholds)


def most_frequent_set(labels: Labels) -> Method:
    """Always the set that most training texts have, which may be the empty one."""
    sets, counts = np.unique(labels["train"], axis=0, return_counts=True)
    always = sets[counts.argmax()]
    answers = {part: np.tile(always, (len(labels[part]), 1)) for part in ("validation", "test")}
    count = int(always.sum())
    told = {0: "never a label", 1: "always the same label"}.get(count, f"always the same {count} labels")
    return Method(FREQUENT, told, answers)


def counted_words(texts: Mapping[str, Sequence[str]], labels: Labels) -> Method:
    """A logistic regression for each label on TF-IDF of words and pairs; both arguments map part -> values."""
    start = time.process_time()
    counter = fit_counter(texts["train"])
    found, head = _best({part: counter.transform(own) for part, own in texts.items()}, labels, COUNTED)
    return dataclasses.replace(found, seconds=time.process_time() - start, head=head, counter=counter)


def frozen_features(
    encoder: BertModel,
    examples: Mapping[str, EncodedTexts],
    labels: Labels,
    precision: str = "float32",
    windows: WindowSize | None = None,
) -> Method:
    """A logistic regression for each label on the mean vectors of an encoder that was not fine-tuned."""
    start = time.process_time()
    vectors = {part: mean_vectors(encoder, own, precision, windows) for part, own in examples.items()}
    scaler = StandardScaler().fit(vectors["train"])
    found, head = _best({part: scaler.transform(own) for part, own in vectors.items()}, labels, FROZEN)
    weight = head.weight / scaler.scale_
    head = LinearHead(weight, head.bias - weight @ scaler.mean_)
    return dataclasses.replace(found, seconds=time.process_time() - start, head=head)


def _best(inputs: Mapping[str, Any], labels: Labels, kind: str) -> tuple[Method, LinearHead]:
    """The method of the strength with the highest micro F1 on the validation part; a tie goes to the simpler one."""
    found = []
    for strength in STRENGTHS[kind]:
        head = _fit(inputs["train"], labels["train"], strength)
        logits = {part: inputs[part] @ head.weight.T + head.bias for part in ("validation", "test")}
        features = "TF-IDF of words and pairs" if kind == COUNTED else "mean of the pre-trained vectors"
        description = f"{features}, a logistic regression for each label with C={strength:g}"
        method = tuned(kind, description, logits, labels["validation"])
        found.append((f1_scores(labels["validation"], method.answers["validation"]).micro, -strength, method, head))
    *_, method, head = max(found, key=lambda entry: entry[:2])
    return method, head


def _fit(features: Any, labels: Targets, strength: float) -> LinearHead:
    regression = OneVsRestClassifier(LogisticRegression(C=strength, max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # slow convergence: the score tells
        regression.fit(features, labels.astype(int))
    weights, biases = zip(*((one.coef_, one.intercept_) for one in regression.estimators_), strict=True)
    return LinearHead(np.concatenate(weights), np.concatenate(biases))
