"""What ``bertft train`` does by itself, against changes of it: the study that its defaults come from.

Every run is what somebody with few labelled texts gets: they are divided into texts to learn from and a third as many
to choose the best epoch by, and training stops early. It is judged by all validation texts, which chose nothing.
"""

from __future__ import annotations

import dataclasses
import math
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import BertForSequenceClassification

from bertft_helpers.batching import EncodedTexts, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import predict
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
    "FIRST",
    "IDENTITY",
    "IDENTITY_SCALE",
    "MEAN",
    "MEASUREMENTS",
    "PATIENCE_EPOCHS",
    "PATIENCE_STEPS",
    "POOLER",
    "STANDARD",
    "TRIED",
    "Default",
    "measure_defaults",
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


@dataclasses.dataclass(frozen=True)
class Default:
    """One way to train on ``per_class`` texts of each class of ``texts``.

    ``reading`` is what the head reads: the ``POOLER`` as it is drawn, the same one started as ``IDENTITY_SCALE`` times
    the ``IDENTITY``, or the ``MEAN`` over the last layer. Where the usual number of epochs makes fewer than
    ``least_steps`` steps, more are planned. Raises UserError for another reading.
    """

    texts: str
    per_class: int
    reading: str = POOLER
    least_steps: int = 0

    def __post_init__(self) -> None:
        if self.reading not in (POOLER, MEAN, IDENTITY):
            raise UserError(f"reading is {self.reading!r}; choose {POOLER}, {MEAN} or {IDENTITY}")


# Of all runs, and what ``bertft train`` plans: a test holds the two together.
STANDARD = Recipe(epochs=15, batch_size=16, learning_rate=2e-4, warmup_share=0.1, weight_decay=0.01)
PATIENCE_EPOCHS, PATIENCE_STEPS = 2, 40


def patience_of(steps: int) -> int:
    """Epochs without a better one after which a run with ``steps`` in each ends."""
    return max(PATIENCE_EPOCHS, math.ceil(PATIENCE_STEPS / steps))


def measure_defaults(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    """A row of ``MEASUREMENTS`` for the ``Default`` that ``factors`` describe; scores are of all validation texts.

    ``seconds`` is the processor time of training and of choosing the epoch. ``way`` as in ``recipes.measure``.
    """
    quiet_libraries()
    default = Default(**factors)
    recipe = dataclasses.replace(STANDARD, texts=default.texts, per_class=default.per_class, **way)
    learned, choosing = _drawn(recipe, seed)
    model = _build(default, recipe, seed)
    start = time.process_time()
    steps, best_epoch = _train(model, recipe, default.least_steps, learned, choosing, seed)
    seconds = time.process_time() - start
    with mixed_precision(torch.device("cpu"), getattr(torch, recipe.precision)):
        judged = predict(model, make_loader(parts_of(default.texts)["validation"], 64))
    loss = -np.log(judged.probabilities[np.arange(len(judged.labels)), judged.labels]).mean()
    return {
        **recipes.scores(judged.labels, judged.classes, float(loss)),
        **{"seconds": round(seconds, 2), "steps": steps, "best_epoch": best_epoch},
        "versions": f"torch {version('torch')}, transformers {version('transformers')}",
        "device": "cpu",
    }


def _drawn(recipe: Recipe, seed: int) -> tuple[EncodedTexts, EncodedTexts]:
    """The texts that every study learns from with this seed, and a third as many others of each class."""
    others = round(recipe.per_class / 3)
    both = recipes.training_examples(dataclasses.replace(recipe, per_class=recipe.per_class + others), seed)
    rows = np.arange(len(both)).reshape(-1, recipe.per_class + others)  # [classes, texts]
    return _chosen(both, rows[:, : recipe.per_class]), _chosen(both, rows[:, recipe.per_class :])


def _chosen(examples: EncodedTexts, rows: np.ndarray) -> EncodedTexts:
    ids, labels = ([column[row] for row in rows.ravel()] for column in (examples.input_ids, examples.labels))
    return EncodedTexts(ids, labels, examples.pad_id)


def _build(default: Default, recipe: Recipe, seed: int) -> nn.Module:
    """A model with a new head, set up to be trained in the recipe's way."""
    names = names_of(default.texts)
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
    model: nn.Module, recipe: Recipe, least_steps: int, learned: EncodedTexts, choosing: EncodedTexts, seed: int
) -> tuple[int, int]:
    """Train in place; returns the steps done and the number of the best epoch."""
    loader = make_loader(learned, recipe.batch_size, seed=seed)
    of_epoch = len(loader)
    epochs = max(recipe.epochs, math.ceil(least_steps / of_epoch))
    compact = compact_vocabulary(encoder_of(model), learned.input_ids)
    optimizer, schedule = recipes.optimizer_and_schedule(model, recipe, epochs * of_epoch)
    compact.follow(optimizer)
    stopping = EarlyStopping(patience_of(of_epoch), "validation_accuracy")
    config = TrainConfig(epochs=epochs, precision=recipe.precision)
    history = fit(model, loader, make_loader(choosing, 64), optimizer, schedule, config, stopping=stopping)
    restore_vocabulary(encoder_of(model))
    if isinstance(model, BertForSequenceClassification):
        take_down(model)
    elif recipe.masks == "bytes":
        restore_dropout(encoder_of(model))
    return len(history.steps), stopping.best_epoch
