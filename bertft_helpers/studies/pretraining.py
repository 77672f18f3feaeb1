"""Masked words first, then the desks: the study behind lesson A1. Does further pre-training help with few labels?"""

from __future__ import annotations

import dataclasses
import functools
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import BertForMaskedLM, BertModel

from bertft_helpers.batching import EncodedTexts, encode, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.data import clean, load_texts, select_view, split
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.features import encode_once
from bertft_helpers.masking import MaskedTexts, build_masked_model, cut_stretches, masked_word_loss
from bertft_helpers.models import encoder_of
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.runtime import mixed_precision, quiet_libraries
from bertft_helpers.speed.dropout import restore_dropout, use_byte_dropout
from bertft_helpers.studies import recipes
from bertft_helpers.studies.recipes import BASELINES, Recipe
from bertft_helpers.training import train_epoch

__all__ = ["DESKS", "MEASUREMENTS", "WORDS", "Words", "by_reader", "measure_pretraining", "train_on_words"]

MEASUREMENTS = (
    *("accuracy", "features_accuracy", "masked_accuracy", "masked_loss"),
    *("seconds", "steps", "failed", "versions", "device"),
)
DESKS = Recipe(per_class=20, epochs=5)  # 100 headlines; as in ``small_data``


@dataclasses.dataclass(frozen=True)
class Words:
    """How masked words are learned: pieces of a stretch, stretches of a step, the highest rate, stretches to judge."""

    stretch: int = 64
    stretches: int = 16
    words_rate: float = 5e-4
    unseen: int = 200


WORDS = Words()


def measure_pretraining(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    """A row of ``MEASUREMENTS``: ``pretraining_steps`` on masked words, then 100 headlines with their desks.

    ``accuracy`` is that of the fine-tuned classifier, ``features_accuracy`` that of logistic regression on the frozen
    encoder, both on the validation headlines; ``masked_accuracy`` and ``masked_loss`` are those on stretches of the
    validation stories. ``seconds`` is the processor time of both trainings. ``way`` as in ``recipes.measure``.
    """
    if set(factors) != {"pretraining_steps"}:
        raise UserError(f"the factors are {', '.join(factors)}; the only one is pretraining_steps")
    quiet_libraries()
    recipe = dataclasses.replace(DESKS, **way)
    steps = factors["pretraining_steps"]
    masked = build_masked_model("bundled", seed)
    start = time.process_time()
    train_on_words(masked, steps, seed, recipe)
    on_words = time.process_time() - start
    with mixed_precision(masked.device, getattr(torch, recipe.precision)):
        words = evaluate(masked, make_loader(_unseen(), 8))
    features = _features_accuracy(masked.bert, recipe, seed)
    accuracy, on_desks = _fine_tuned(masked.bert, recipe, seed)
    labels = recipes.headlines()["validation"].labels
    return {
        "accuracy": accuracy,
        "features_accuracy": features,
        "masked_accuracy": words.accuracy,
        "masked_loss": words.loss,
        "seconds": round(on_words + on_desks, 2),
        "steps": steps,
        "failed": bool(accuracy <= np.bincount(labels).max() / len(labels)),
        "versions": f"torch {version('torch')}, transformers {version('transformers')}",
        "device": "cpu",
    }


def train_on_words(model: BertForMaskedLM, steps: int, seed: int, recipe: Recipe) -> None:
    """One pass over as many stretches as ``steps`` need, drawn by ``seed`` from the training stories, in place."""
    if steps == 0:
        return
    known, wanted = _stretches("train"), steps * WORDS.stretches
    if wanted > len(known):
        raise UserError(f"{steps} steps need {wanted} stretches; the training stories have {len(known)}")
    rows = np.random.default_rng(seed).permutation(len(known))[:wanted]
    examples = MaskedTexts([known[row] for row in rows], load_tokenizer("bundled"), seed)
    if recipe.masks == "bytes":
        use_byte_dropout(model, seed)
    optimizer, schedule = build_optimizer(model, WORDS.words_rate, steps)
    config = TrainConfig(precision=recipe.precision)
    loader = make_loader(examples, WORDS.stretches, seed=seed)
    train_epoch(model, loader, optimizer, schedule, config, masked_word_loss)
    if recipe.masks == "bytes":
        restore_dropout(model)


def _features_accuracy(encoder: BertModel, recipe: Recipe, seed: int) -> float:
    validation = recipes.headlines()["validation"]
    examples = recipes.training_examples(recipe, seed)
    classifier = make_pipeline(StandardScaler(), BASELINES["features, tuned"](seed))
    classifier.fit(encode_once(encoder, examples).numpy(), examples.labels)
    found = classifier.predict(encode_once(encoder, validation).numpy())
    return float(np.mean(found == np.array(validation.labels)))


def _fine_tuned(encoder: BertModel, recipe: Recipe, seed: int) -> tuple[float, float]:
    """Accuracy of a classifier on this encoder, and the processor time of its training; head, texts, order by seed."""
    model, loader = recipes.build_run(recipe, seed)
    missing, unexpected = encoder_of(model).load_state_dict(encoder.state_dict(), strict=False)
    if unexpected or any(not name.startswith("pooler.") for name in missing):
        raise RuntimeError(f"the encoders differ: {missing}, {unexpected}")
    start = time.process_time()
    recipes.train(model, loader, recipe)
    seconds = time.process_time() - start
    return evaluate(model, make_loader(recipes.headlines()["validation"], 64)).accuracy, seconds


@functools.cache
def _stretches(part: str) -> list[list[int]]:
    """Whole stories of the headlines in a part of the split, cut; no story is in two parts."""
    stories = load_texts("news")
    text_of = dict(zip(stories["id"], stories["text"], strict=True))
    own = split(clean(select_view(stories, "headline")).kept, seed=0)[part]["id"]
    return cut_stretches(encode([text_of[name] for name in own], load_tokenizer("bundled")), WORDS.stretch)


@functools.cache
def _unseen() -> EncodedTexts:
    known = _stretches("validation")
    rows = np.random.default_rng(0).permutation(len(known))[: WORDS.unseen]
    return MaskedTexts([known[row] for row in rows], load_tokenizer("bundled"), seed=0)


def by_reader(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the study, one for the fine-tuned classifier and one for the features', with their accuracy."""
    columns = {"fine-tuned": "accuracy", "features": "features_accuracy"}
    return pd.concat(
        [rows.assign(reader=reader, accuracy=rows[column]) for reader, column in columns.items()], ignore_index=True
    )
