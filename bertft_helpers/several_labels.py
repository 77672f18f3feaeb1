"""Several labels for one text: a yes-or-no question for each, tuned thresholds, and F1 over all labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from transformers import BertForSequenceClassification, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from bertft_helpers.batching import EncodedTexts, encode, truncate
from bertft_helpers.errors import UserError
from bertft_helpers.metrics import Floats, sweep_threshold
from bertft_helpers.models import build_with_head, check_names


class F1Scores(NamedTuple):
    """F1 over all answers (micro), the mean over labels (macro), the mean over texts (samples), and each label's."""

    micro: float
    macro: float
    samples: float
    per_label: Floats


class YesOrNo(nn.Module):
    """A classifier asked about each label for itself: its logits ``[batch, labels]`` become ``[batch, labels, 2]``.

    The logit of "no" is 0, that of "yes" the model's. The softmax of the two is the sigmoid, and their cross-entropy
    the binary one, so loss, training and evaluation stay as they are; a label of -100 is one that nobody knows. Build
    the optimizer for ``model`` itself. Written out in lesson A6.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Logits of no and yes ``[batch, labels, 2]`` for ids and mask ``[batch, length]``."""
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        yes = self.model(input_ids=input_ids, attention_mask=attention_mask, **kinds).logits
        return SequenceClassifierOutput(logits=torch.stack([torch.zeros_like(yes), yes], dim=-1))


def build_multi_label(checkpoint: str, label_names: Sequence[str], seed: int) -> BertForSequenceClassification:
    """transformers' BERT classifier for several labels a text. Raises as ``models.build_classifier``.

    Its configuration says so: transformers then computes the binary loss by itself and its pipeline the sigmoid.
    """
    check_names(label_names)
    model = build_with_head(BertForSequenceClassification, checkpoint, label_names, seed)
    model.config.problem_type = "multi_label_classification"
    return cast(BertForSequenceClassification, model)


def label_rows(label_lists: Sequence[Sequence[str]], label_names: Sequence[str]) -> list[list[int]]:
    """For each text a 1 for every label that it has and a 0 for every other, in the order of ``label_names``.

    An empty list is a text without a label. Raises UserError naming the text (from 1) whose labels are no list of
    known names. Written out in lesson A6.
    """
    for row, own in enumerate(label_lists, start=1):
        if isinstance(own, str):
            raise UserError(f"text {row}: the labels are the text {own!r}; give a list of names, such as [{own!r}]")
        if unknown := [name for name in own if name not in label_names]:
            raise UserError(f"text {row}: {unknown[0]!r} is none of the labels {', '.join(label_names)}: mend the row")
    return [[int(name in own) for name in label_names] for own in label_lists]


def encode_labelled(
    texts: Sequence[str],
    label_lists: Sequence[Sequence[str]],
    label_names: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int = 512,
    policy: str = "head",
) -> EncodedTexts:
    """Texts, encoded and truncated, with a 0 or 1 for each label. Raises UserError as ``label_rows``."""
    shortened = [truncate(ids, max_length, policy) for ids in encode(texts, tokenizer)]
    return EncodedTexts(shortened, label_rows(label_lists, label_names), cast(int, tokenizer.pad_token_id or 0))


def f1_scores(targets: ArrayLike, predictions: ArrayLike) -> F1Scores:
    """F1 of 0/1 answers against 0/1 targets, both ``[texts, labels]``; a share of nothing counts 0.

    scikit-learn's ``f1_score`` with ``average`` micro, macro, samples and None. Written out in lesson A6.
    """
    targets, predictions = np.asarray(targets, dtype=bool), np.asarray(predictions, dtype=bool)

    def f1(axis: int | None) -> Floats:
        hits, said, true = (cells.sum(axis) for cells in (targets & predictions, predictions, targets))
        return 2 * hits / np.maximum(said + true, 1)

    return F1Scores(float(f1(None)), float(f1(0).mean()), float(f1(1).mean()), f1(0))


def tune_thresholds(targets: ArrayLike, probabilities: ArrayLike) -> Floats:
    """For each label the threshold with the highest F1, ``[labels]``; "yes" is a probability of at least it.

    It lies halfway to the next lower probability. ``targets`` and ``probabilities`` are ``[texts, labels]`` of texts
    that trained nothing and judge nothing. Raises UserError for a label that all of them have, or none.
    Written out in lesson A6.
    """
    targets, probabilities = np.asarray(targets, dtype=bool), np.asarray(probabilities, dtype=float)
    if same := [label for label, column in enumerate(targets.T) if column.all() or not column.any()]:
        raise UserError(f"labels {same} (counted from 0) are the same for all {len(targets)} texts: take more texts")
    thresholds = []
    for has, scores in zip(targets.T, probabilities.T, strict=True):
        hits, false_alarms, points = sweep_threshold(has, scores)
        best = int((2 * hits / (hits + false_alarms + has.sum())).argmax())
        thresholds.append(points[best : best + 2].mean())
    return np.array(thresholds)
