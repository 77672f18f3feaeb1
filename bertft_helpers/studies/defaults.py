"""What ``bertft train`` does by itself, against changes of it: the study that its defaults come from.

Every run is what somebody with few labelled texts gets: they are divided into texts to learn from and a third as many
to choose the best epoch by, and training stops early. It is judged by all validation texts, which chose nothing.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import nn
from transformers import BertForSequenceClassification

from bertft_helpers.batching import EncodedTexts, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import Predictions, predict
from bertft_helpers.losses import LossFn, balanced_weights, classification_loss, weighted_loss
from bertft_helpers.models import PooledClassifier, build_classifier, encoder_of, pool_mean
from bertft_helpers.pretrained import load_encoder
from bertft_helpers.runtime import mixed_precision, quiet_libraries, set_seeds
from bertft_helpers.speed.choice import set_up, take_down
from bertft_helpers.speed.dropout import restore_dropout, use_byte_dropout
from bertft_helpers.speed.vocabulary import compact_vocabulary, restore_vocabulary
from bertft_helpers.studies import recipes
from bertft_helpers.studies.material import names_of, parts_of
from bertft_helpers.studies.recipes import Recipe
from bertft_helpers.training import EarlyStopping, fit

__all__ = [
    "CHANGES",
    "CLASS_WEIGHTS",
    "FIRST",
    "FURTHER",
    "IDENTITY",
    "IDENTITY_SCALE",
    "MEAN",
    "MEASUREMENTS",
    "PATIENCE_EPOCHS",
    "PATIENCE_STEPS",
    "POOLER",
    "SMALLEST",
    "STANDARD",
    "TRIED",
    "UNEVEN",
    "Default",
    "Texts",
    "measure_defaults",
    "measure_on",
    "patience_of",
    "start_as_identity",
]

MEASUREMENTS = (
    *("accuracy", "macro_f1", "loss", "seconds", "steps"),
    *("best_epoch", "failed", "versions", "device"),
)
POOLER, MEAN, IDENTITY = "pooler", "mean", "identity"
IDENTITY_SCALE = 0.1  # tanh is nearly straight there for the values of a layer's normalised output
FIRST = {"reading": POOLER, "least_steps": 0}  # what ``bertft train`` did when the study was begun
CHANGES: dict[str, dict[str, Any]] = {
    "mean of the last layer": {"reading": MEAN},
    "100 steps at least": {"least_steps": 100},
    "pooler started as the identity": {"reading": IDENTITY},
}
# Task and texts of each class that a change was tried with. The mean came out behind with 50 headlines, so that nothing
# could make it the default any more: it was not tried on the other task. From 100 texts on there are 100 steps anyway.
TRIED = {
    "mean of the last layer": (("headlines", 10), ("headlines", 20)),
    "100 steps at least": (("headlines", 5), ("headlines", 10), ("lead or later", 12), ("lead or later", 25)),
    "pooler started as the identity": (("headlines", 10), ("lead or later", 25)),
}
# And with more texts, where the steps are enough by themselves: 300 headlines, and all (None).
FURTHER = {
    "mean of the last layer": (("headlines", 60),),
    "pooler started as the identity": (("headlines", 60), ("headlines", None)),
}
CLASS_WEIGHTS = {"class_weights": True}
UNEVEN = (("headlines", 48), ("lead or later", 96))  # task and texts of the largest class
SMALLEST = 1 / 16  # of the largest class, where they are uneven; those between fall by equal ratios


@dataclasses.dataclass(frozen=True)
class Default:
    """One way to train on ``per_class`` texts of each class of ``texts``; None is three quarters of what there are.

    Where they are ``uneven``, the largest class has ``per_class`` and the smallest ``SMALLEST`` of that; which one is
    the largest goes round with the seed. ``reading`` is what the head reads: the ``POOLER`` as it is drawn, the same
    one started as ``IDENTITY_SCALE`` times the ``IDENTITY``, or the ``MEAN`` over the last layer. Where the usual
    number of epochs makes fewer than ``least_steps`` steps, more are planned. With ``class_weights`` the loss counts
    rare classes more. Raises UserError for another reading.
    """

    texts: str
    per_class: int | None
    reading: str = POOLER
    least_steps: int = 0
    uneven: bool = False
    class_weights: bool = False

    def __post_init__(self) -> None:
        if self.reading not in (POOLER, MEAN, IDENTITY):
            raise UserError(f"reading is {self.reading!r}; choose {POOLER}, {MEAN} or {IDENTITY}")


class Texts(NamedTuple):
    """Encoded texts to draw from, others that judge, and the names of their classes."""

    pool: EncodedTexts
    judging: EncodedTexts
    names: list[str]


# Of all runs, and what ``bertft train`` plans: a test holds the two together.
STANDARD = Recipe(epochs=15, batch_size=16, learning_rate=2e-4, warmup_share=0.1, weight_decay=0.01)
PATIENCE_EPOCHS, PATIENCE_STEPS = 2, 40


def patience_of(steps: int) -> int:
    """Epochs without a better one after which a run with ``steps`` in each ends."""
    return max(PATIENCE_EPOCHS, math.ceil(PATIENCE_STEPS / steps))


def measure_defaults(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    """``measure_on`` one of ``studies.material.TEXTS``; scores are of all validation texts."""
    default = Default(**factors)
    parts = parts_of(default.texts)
    return measure_on(Texts(parts["train"], parts["validation"], names_of(default.texts)), default, seed, **way)


def measure_on(texts: Texts, default: Default, seed: int, **way: Any) -> dict[str, Any]:
    """A row of ``MEASUREMENTS`` for a ``Default`` that learns from some of ``texts``.

    Scores after uneven classes are those expected of texts that are as uneven as those learned from. ``seconds`` is
    the processor time of training and of choosing the epoch. ``way`` as in ``recipes.measure``.
    """
    quiet_libraries()
    recipe = dataclasses.replace(STANDARD, **way)
    learned, choosing = _drawn(texts.pool, default, seed)
    model = _build(default, recipe, texts.names, seed)
    start = time.process_time()
    steps, best_epoch = _train(model, recipe, default, learned, choosing, seed)
    seconds = time.process_time() - start
    with mixed_precision(torch.device("cpu"), getattr(torch, recipe.precision)):
        judged = predict(model, make_loader(texts.judging, 64))
    return {
        **_scores(judged, np.bincount(learned.labels) if default.uneven else None),
        **{"seconds": round(seconds, 2), "steps": steps, "best_epoch": best_epoch},
        "versions": f"torch {version('torch')}, transformers {version('transformers')}",
        "device": "cpu",
    }


def _scores(judged: Predictions, counts: np.ndarray | None) -> dict[str, Any]:
    """Those of ``recipes.scores``; with ``counts`` of the classes, as if those judged were distributed like them."""
    labels, classes = judged.labels, judged.classes
    losses = -np.log(judged.probabilities[np.arange(len(labels)), labels])
    if counts is None:
        return recipes.scores(labels, classes, float(losses.mean()))
    weights = (counts / counts.sum() / np.bincount(labels))[labels]  # [texts]
    right = float(accuracy_score(labels, classes, sample_weight=weights))
    return {
        "accuracy": right,
        "macro_f1": float(f1_score(labels, classes, average="macro", sample_weight=weights, zero_division=0)),
        "loss": float(np.average(losses, weights=weights)),
        "failed": bool(right <= counts.max() / counts.sum()),
    }


def _drawn(pool: EncodedTexts, default: Default, seed: int) -> tuple[EncodedTexts, EncodedTexts]:
    """The texts that every study learns from with this seed, and a third as many others of each class."""
    generator, labels = np.random.default_rng(seed), np.array(pool.labels)
    learned: list[int] = []
    choosing: list[int] = []
    for number, count in enumerate(_counts(np.bincount(labels), default, seed)):
        rows = generator.permutation(np.flatnonzero(labels == number))
        learned.extend(rows[:count])
        choosing.extend(rows[count : count + max(1, round(count / 3))])
    return _chosen(pool, learned), _chosen(pool, choosing)


def _counts(there: np.ndarray, default: Default, seed: int) -> list[int]:
    """How many texts of each class are learned from, of those that are there."""
    if default.per_class is None:
        return [max(1, round(0.75 * count)) for count in there]
    if not default.uneven:
        return [default.per_class] * len(there)
    falling = default.per_class * np.geomspace(1, SMALLEST, len(there))
    return np.roll(falling.round().astype(int), seed).tolist()


def _chosen(examples: EncodedTexts, rows: Sequence[int]) -> EncodedTexts:
    ids, labels = ([column[row] for row in rows] for column in (examples.input_ids, examples.labels))
    return EncodedTexts(ids, labels, examples.pad_id)


def _build(default: Default, recipe: Recipe, names: list[str], seed: int) -> nn.Module:
    """A model with a new head, set up to be trained in the recipe's way."""
    if default.reading == MEAN:
        set_seeds(seed)
        pooled = PooledClassifier(load_encoder("bundled"), len(names), pool_mean, recipe.dropout)
        if recipe.masks == "bytes":
            use_byte_dropout(pooled.encoder, seed)
        return pooled
    model = build_classifier("bundled", names, seed)
    if default.reading == IDENTITY:
        start_as_identity(model)
    set_up(model, recipe.way, seed)
    return model


def start_as_identity(model: BertForSequenceClassification) -> None:
    """Let the pooler pass on what it reads, times ``IDENTITY_SCALE`` and through its tanh."""
    pooler: Any = model.bert.pooler
    nn.init.eye_(pooler.dense.weight).detach().mul_(IDENTITY_SCALE)
    nn.init.zeros_(pooler.dense.bias)


def _train(
    model: nn.Module, recipe: Recipe, default: Default, learned: EncodedTexts, choosing: EncodedTexts, seed: int
) -> tuple[int, int]:
    """Train in place; returns the steps done and the number of the best epoch."""
    loader = make_loader(learned, recipe.batch_size, seed=seed)
    of_epoch = len(loader)
    epochs = max(recipe.epochs, math.ceil(default.least_steps / of_epoch))
    compact = compact_vocabulary(encoder_of(model), learned.input_ids)
    optimizer, schedule = recipes.optimizer_and_schedule(model, recipe, epochs * of_epoch)
    compact.follow(optimizer)
    stopping = EarlyStopping(patience_of(of_epoch), "validation_accuracy")
    config = TrainConfig(epochs=epochs, precision=recipe.precision)
    loss_fn = _loss(default, learned.labels)
    history = fit(model, loader, make_loader(choosing, 64), optimizer, schedule, config, loss_fn, stopping=stopping)
    restore_vocabulary(encoder_of(model))
    if isinstance(model, BertForSequenceClassification):
        take_down(model)
    elif recipe.masks == "bytes":
        restore_dropout(encoder_of(model))
    return len(history.steps), stopping.best_epoch


def _loss(default: Default, labels: Sequence[int]) -> LossFn:
    return weighted_loss(balanced_weights(labels, max(labels) + 1)) if default.class_weights else classification_loss
