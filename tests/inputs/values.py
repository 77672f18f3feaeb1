"""Texts, labels and examples in memory that cannot work: who is given them, what is raised, what must be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inputs.files import TWO_ROWS, loaded
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import BucketBatchSampler, EncodedTexts, make_loader, truncate
from bertft_helpers.config import TrainConfig
from bertft_helpers.data import load_texts, split
from bertft_helpers.evaluation import evaluate
from bertft_helpers.models import build_classifier
from bertft_helpers.reading.labels import name_labels
from bertft_helpers.training import fit
from bertft_helpers.validation import check_examples, check_not_blank, check_texts

NAN = float("nan")


def tiny_model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=12, num_labels=3, **sizes))


def texts(*values: Any) -> Callable[[Path], object]:
    return lambda _: check_texts(values, "news.csv")


def blanks(*values: str) -> Callable[[Path], object]:
    return lambda _: check_not_blank(values, "news.csv")


def labels(*values: Any) -> Callable[[Path], object]:
    return lambda _: name_labels(values, "news.csv")


def examples(ids: list[list[int]], numbers: list[Any]) -> Callable[[Path], object]:
    return lambda _: check_examples(EncodedTexts(ids, numbers), tiny_model())


def run_training(ids: list[list[int]], numbers: list[int]) -> Callable[[Path], object]:
    def train(_: Path) -> object:
        model, good = tiny_model(), EncodedTexts([[2, 5, 3]] * 4, [0, 1, 2, 0])
        optimizer = torch.optim.AdamW(model.parameters())
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
        bad_loader = make_loader(EncodedTexts(ids, numbers), 2, seed=0)
        return fit(model, bad_loader, make_loader(good, 2), optimizer, schedule, TrainConfig(epochs=1))

    return train


GOOD = [[2, 5, 3], [2, 6, 7, 3]]


REFUSED: dict[str, tuple[Callable[[Path], object], type[Exception], list[str]]] = {
    # texts
    "a missing text": (texts("a", None), ValueError, ["news.csv", "no text in row 2", "fill or remove"]),
    "NaN as a text": (texts(NAN, "a"), ValueError, ["no text in row 1"]),
    "a number as a text": (texts("a", 3.5), ValueError, ["a float instead of text in row 2"]),
    "bytes as a text": (texts(b"a"), ValueError, ["bytes instead of text", "row 1"]),
    "an empty text": (blanks("a", ""), ValueError, ["an empty text in row 2"]),
    "only white space": (blanks(" \t\n", "a"), ValueError, ["an empty text in row 1"]),
    "many bad texts": (blanks(*[""] * 9), ValueError, ["rows 1, 2, 3, 4, 5 and 4 more (9 in all)"]),
    "no texts": (texts(), ValueError, ["news.csv has no texts"]),
    # labels
    "a missing label": (labels("a", None, "b"), ValueError, ["no label in row 2", "names or numbers"]),
    "NaN as a label": (labels(0, NAN), ValueError, ["no label in row 2"]),
    "an empty label": (labels("a", " "), ValueError, ["an empty label in row 2"]),
    "a label that is a list": (labels(0, [1]), ValueError, ["a list of labels in row 2", "keep the one"]),
    "half a character": (
        texts("a", "\ud800"),
        ValueError,
        ["half a character", "row 2", "export the texts again"],
    ),
    "a label without end": (labels(0, float("inf")), ValueError, ["the label inf", "row 2"]),
    "a label of invisible characters": (labels("a", "\u200b"), ValueError, ["an empty label in row 2"]),
    "several labels for a text": (
        labels(("a", "b"), "a", np.array(["a"])),
        ValueError,
        ["a list of labels in rows 1 and 3", "train for several with --several-labels"],
    ),
    "half a character in a label": (labels("a", "\udc00"), ValueError, ["half a character", "row 2"]),
    "a label that is an object": (labels({"a": 1}), ValueError, ["type dict in row 1"]),
    "texts and labels in one column": (
        loaded(TWO_ROWS, label_column="text"),
        ValueError,
        ["both the column 'text'", "--label"],
    ),
    # encoded examples and a model
    "a label out of range": (examples(GOOD, [0, 3]), ValueError, ["out of range in row 1", "such as 3", "0 to 2"]),
    "a negative class": (examples(GOOD, [-1, 0]), ValueError, ["out of range in row 0", "such as -1"]),
    "a fractional class": (examples(GOOD, [0, 0.5]), ValueError, ["fractional labels in row 1", "such as 0.5"]),
    "all labels ignored": (examples(GOOD, [-100, -100]), ValueError, ["all 2 labels are ignored", "NaN"]),
    "a foreign tokenizer": (examples([[2, 50, 3]], [0]), ValueError, ["row 0", "vocabulary of 50", "one folder"]),
    "a text over the limit": (
        examples([[2] * 13], [0]),
        ValueError,
        ["row 0", "12 positions", "13 tokens", "max_length"],
    ),
    "a mask without a token": (examples([[], [2, 3]], [0, 1]), ValueError, ["row 0", "no token at all"]),
    "no examples": (examples([], []), ValueError, ["no examples"]),
    "texts and labels of two lengths": (lambda _: EncodedTexts(GOOD, [0]), ValueError, ["2 texts but 1 labels"]),
    "training on labels out of range": (run_training(GOOD, [0, 7]), ValueError, ["out of range in row 1", "0 to 2"]),
    "training on ignored labels": (run_training(GOOD, [-100] * 2), ValueError, ["all 2 labels are ignored"]),
    "training with a foreign tokenizer": (run_training([[2, 99, 3]] * 2, [0, 1]), ValueError, ["vocabulary of 50"]),
    "evaluating ignored labels": (
        lambda _: evaluate(tiny_model(), make_loader(EncodedTexts(GOOD, [-100, -100]), 2)),
        ValueError,
        ["no label to evaluate", "-100"],
    ),
    "a loader of nothing": (lambda _: BucketBatchSampler([], 2, seed=0), ValueError, ["for 0 texts", "at least 1"]),
    "batches of nothing": (lambda _: BucketBatchSampler([3], 0, seed=0), ValueError, ["batch_size is 0"]),
    "no room for text": (lambda _: truncate([2, 5, 6, 3], 2), ValueError, ["max_length is 2", "at least 3"]),
    "one label name": (
        lambda _: build_classifier("bundled", ["tech"], seed=0),
        ValueError,
        ["['tech']", "at least two different names"],
    ),
    "shares that leave nothing": (
        lambda _: split(load_texts("news"), seed=0, validation=0.5, test=0.5),
        ValueError,
        ["validation=0.5", "test=0.5", "leave a share"],
    ),
}
