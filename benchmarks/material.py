"""What all sides share: texts, models, scores."""

from __future__ import annotations

import functools

import torch
from datasets import DatasetDict
from transformers import BertForSequenceClassification

from bertft_helpers.batching import EncodedTexts, encode_dataset, make_loader
from bertft_helpers.data import clean, load_texts, select_view, split
from bertft_helpers.evaluation import evaluate
from bertft_helpers.models import build_classifier
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.runtime import quiet_libraries

BATCH_SIZE = 16
LEARNING_RATE = 2e-4
WEIGHT_DECAY = 0.01
WARMUP_SHARE = 0.1


@functools.cache
def parts(view: str) -> DatasetDict:
    """The news in a view, cleaned and split with seed 0."""
    quiet_libraries()
    return split(clean(select_view(load_texts("news"), view)).kept, seed=0)


@functools.cache
def label_names() -> list[str]:
    """The five desks."""
    return load_texts("news").features["label"].names


@functools.cache
def tokenizer():
    """The bundled checkpoint's tokenizer."""
    return load_tokenizer("bundled")


@functools.cache
def examples(view: str, part: str, count: int, max_length: int, seed: int = 0) -> EncodedTexts:
    """``count`` encoded texts of a part, drawn by ``seed``."""
    chosen = parts(view)[part].shuffle(seed=seed)
    return encode_dataset(chosen.select(range(min(count, len(chosen)))), tokenizer(), max_length)


def fresh_model(seed: int) -> BertForSequenceClassification:
    """The bundled checkpoint with a new head drawn from ``seed``."""
    quiet_libraries()
    return build_classifier("bundled", label_names(), seed)


def validation_accuracy(model: torch.nn.Module, view: str, max_length: int, count: int) -> float:
    """Accuracy on the first ``count`` validation texts, outside the time that is measured."""
    return evaluate(model, make_loader(examples(view, "validation", count, max_length), 32)).accuracy
