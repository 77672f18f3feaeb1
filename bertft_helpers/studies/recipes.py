"""One fine-tuning run of the studies, described by a recipe and measured on the validation headlines."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any, cast

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import BertForSequenceClassification

from bertft_helpers.batching import Batch, EncodedTexts, make_loader, set_epoch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import predict
from bertft_helpers.features import encode_once
from bertft_helpers.losses import LossFn, classification_loss, smoothed_loss
from bertft_helpers.metrics import accuracy, macro_f1
from bertft_helpers.models import build_classifier
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_encoder
from bertft_helpers.runtime import peak_memory_mb, quiet_libraries, reset_peak_memory
from bertft_helpers.speed.choice import EXACT, Choice, set_up, take_down
from bertft_helpers.speed.vocabulary import compact_vocabulary, restore_vocabulary
from bertft_helpers.studies.material import TEXTS, names_of, parts_of
from bertft_helpers.training import groups_of, train_step

__all__ = [
    "BASELINES",
    "DEPTHS",
    "FROZEN",
    "MEASUREMENTS",
    "Recipe",
    "build_run",
    "headlines",
    "label_names",
    "measure",
    "optimizer_and_schedule",
    "scores",
    "train",
    "trainable_parameters",
    "training_examples",
]

MEASUREMENTS = (
    "accuracy",
    "macro_f1",
    "loss",
    "seconds",
    "tokens",
    "steps",
    "trainable_parameters",
    "peak_memory_mb",
    "failed",
    "versions",
    "device",
)
DEPTHS = tuple(f"{n} layers" for n in range(1, 7))
FROZEN = ("nothing", "embeddings", *DEPTHS, "all but the head", "gradual")
BASELINES: dict[str, Callable[[int], Any]] = {
    "features": lambda seed: LogisticRegression(max_iter=2000, C=0.1),
    "features, tuned": lambda seed: LogisticRegressionCV(
        Cs=np.logspace(-4, 2, 7),
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
        scoring="neg_log_loss",
        max_iter=2000,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    ),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of one run on ``per_class`` texts of each class, drawn by the run's seed from one of ``TEXTS``.

    ``max_steps`` (when given) replaces ``epochs``; ``frozen`` is one of ``FROZEN`` or of ``BASELINES`` (logistic
    regression on frozen features); ``reinitialised`` counts top layers that start at random; ``flipped``
    is the share of training labels replaced by a wrong one. ``precision``, ``masks`` (how dropout is drawn) and
    ``first_token`` are those of ``speed.choice.Choice``: the exact way unless asked for another. Raises ValueError
    naming what is allowed.
    """

    per_class: int = 60
    epochs: int = 3
    max_steps: int | None = None
    batch_size: int = 16
    learning_rate: float = 2e-4
    head_learning_rate: float | None = None
    layer_decay: float = 1.0
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.1
    label_smoothing: float = 0.0
    bias_correction: bool = True
    frozen: str = "nothing"
    reinitialised: int = 0
    flipped: float = 0.0
    texts: str = "headlines"
    precision: str = EXACT.precision
    masks: str = EXACT.dropout
    first_token: bool = EXACT.first_token

    def __post_init__(self) -> None:
        if self.frozen not in (*FROZEN, *BASELINES):
            raise UserError(f"frozen is {self.frozen!r}; choose one of {', '.join((*FROZEN, *BASELINES))}")
        if self.texts not in TEXTS:
            raise UserError(f"texts is {self.texts!r}; choose one of {', '.join(TEXTS)}")

    @classmethod
    def of(cls, **factors: Any) -> Recipe:
        """A recipe with some settings changed; an unknown factor raises ValueError listing the known ones."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = [name for name in factors if name not in known]
        if unknown:
            raise UserError(f"unknown factor {', '.join(unknown)}; the factors are {', '.join(known)}")
        return cls(**factors)

    @property
    def way(self) -> Choice:
        """How the runs are made quick."""
        return Choice(self.precision, self.masks, self.first_token)


def measure(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    """Run the recipe that ``factors`` describe with ``seed``; the row of ``MEASUREMENTS`` for a results file.

    ``way`` changes settings of all runs of a study (``studies.ways``).
    ``seconds`` is the processor time of training alone: unlike the clock's it does not grow when the machine is busy.
    """
    quiet_libraries()
    recipe = Recipe.of(**way, **factors)
    reset_peak_memory()
    if recipe.frozen in BASELINES:
        return _measure_features(recipe, seed)
    model, loader = build_run(recipe, seed)
    trainable = trainable_parameters(model, recipe)
    start = time.process_time()
    steps, tokens = train(model, loader, recipe)
    seconds = time.process_time() - start
    predictions = predict(model, make_loader(parts_of(recipe.texts)["validation"], 64))
    loss = -np.log(predictions.probabilities[np.arange(len(predictions.labels)), predictions.labels]).mean()
    return {
        **scores(predictions.labels, predictions.classes, float(loss)),
        **_costs(seconds, tokens, steps, trainable),
    }


def headlines() -> dict[str, EncodedTexts]:
    """The series' headlines, split with seed 0 and encoded, by part."""
    return parts_of("headlines")


def label_names() -> list[str]:
    """The five desks."""
    return names_of("headlines")


def training_examples(recipe: Recipe, seed: int) -> EncodedTexts:
    """``per_class`` training texts of each class, drawn by ``seed``; a share of the labels flipped if asked."""
    examples, generator = parts_of(recipe.texts)["train"], np.random.default_rng(seed)
    labels = np.array(examples.labels)
    rows = np.concatenate(
        [generator.permutation(np.flatnonzero(labels == desk))[: recipe.per_class] for desk in range(labels.max() + 1)]
    )
    chosen = labels[rows]
    flipped = generator.permutation(len(rows))[: round(recipe.flipped * len(rows))]
    shift = generator.integers(1, labels.max() + 1, size=len(flipped))  # never 0, so the new label is wrong
    chosen[flipped] = (chosen[flipped] + shift) % (labels.max() + 1)
    return EncodedTexts([examples.input_ids[row] for row in rows], chosen.tolist(), examples.pad_id)


def build_run(recipe: Recipe, seed: int) -> tuple[BertForSequenceClassification, DataLoader]:
    """The model, set up in the recipe's way, and the training loader of a run."""
    model = build_classifier("bundled", names_of(recipe.texts), seed)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
    for layer in model.bert.encoder.layer[len(model.bert.encoder.layer) - recipe.reinitialised :]:
        layer.apply(functools.partial(_start_over, spread=model.config.initializer_range))
    set_up(model, recipe.way, seed)
    return model, make_loader(training_examples(recipe, seed), recipe.batch_size, seed=seed)


def train(model: BertForSequenceClassification, loader: DataLoader, recipe: Recipe) -> tuple[int, int]:
    """Train in place with a compact vocabulary, and take the model's set-up down; returns steps and tokens seen."""
    total = recipe.max_steps or recipe.epochs * len(loader)
    compact = compact_vocabulary(model, cast(EncodedTexts, loader.dataset).input_ids)
    blocks = _blocks(model)
    optimizer, schedule = optimizer_and_schedule(model, recipe, total)
    if recipe.frozen != "gradual":
        _freeze(blocks, FROZEN.index(recipe.frozen))
    if compact.weight.requires_grad:
        compact.follow(optimizer)
    loss_fn = _loss(recipe)
    config = TrainConfig(precision=recipe.precision)
    tokens = 0
    model.train()
    for step, group in enumerate(groups_of(itertools.islice(_endless(loader), total), 1)):
        if recipe.frozen == "gradual":  # from the top: one more block in each of equal parts of the run
            _freeze(blocks, len(blocks) - 1 - step * len(blocks) // total)
        tokens += int(group[0]["attention_mask"].sum())
        train_step(model, group, optimizer, schedule, config, loss_fn)
    restore_vocabulary(model)
    take_down(model)
    return total, tokens


def trainable_parameters(model: BertForSequenceClassification, recipe: Recipe) -> int:
    """How many weights the recipe lets move (at the end, when it unfreezes gradually)."""
    frozen = 0 if recipe.frozen == "gradual" else FROZEN.index(recipe.frozen)
    held = sum(parameter.numel() for block in _blocks(model)[:frozen] for parameter in block.parameters())
    return sum(parameter.numel() for parameter in model.parameters()) - held


def _blocks(model: BertForSequenceClassification) -> list[nn.Module]:
    return [model.bert.embeddings, *model.bert.encoder.layer, model.bert.pooler]


def _freeze(blocks: list[nn.Module], count: int) -> None:
    """Hold the lowest ``count`` blocks still and let the others move."""
    for number, block in enumerate(blocks):
        for name, parameter in block.named_parameters():
            parameter.requires_grad_(number >= count and not name.startswith("word_embeddings.full."))


def optimizer_and_schedule(model: nn.Module, recipe: Recipe, total: int) -> tuple[Optimizer, LambdaLR]:
    """AdamW and its warm-up over ``total`` steps, as the recipe wants them."""
    optimizer, schedule = build_optimizer(
        model,
        recipe.learning_rate,
        total,
        weight_decay=recipe.weight_decay,
        warmup_share=recipe.warmup_share,
        head_learning_rate=recipe.head_learning_rate,
        layer_decay=recipe.layer_decay,
    )
    if recipe.bias_correction:
        return optimizer, schedule
    # Without its bias correction Adam steps (1 - 0.9^t) / sqrt(1 - 0.999^t) times as far: up to 6.5 times too far.
    planned = schedule.lr_lambdas[0]
    return optimizer, LambdaLR(
        optimizer, lambda step: planned(step) * (1 - 0.9 ** (step + 1)) / (1 - 0.999 ** (step + 1)) ** 0.5
    )


def _loss(recipe: Recipe) -> LossFn:
    return smoothed_loss(recipe.label_smoothing) if recipe.label_smoothing else classification_loss


def _endless(loader: DataLoader) -> Iterator[Batch]:
    for epoch in itertools.count():
        set_epoch(loader, epoch)
        yield from loader


def _start_over(module: nn.Module, spread: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=spread)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()


@functools.cache
def _features_of_validation(texts: str) -> np.ndarray:
    return encode_once(load_encoder("bundled"), parts_of(texts)["validation"]).numpy()


def _measure_features(recipe: Recipe, seed: int) -> dict[str, Any]:
    examples = training_examples(recipe, seed)
    start = time.process_time()
    train_features = encode_once(load_encoder("bundled"), examples).numpy()
    classifier = make_pipeline(StandardScaler(), BASELINES[recipe.frozen](seed))
    classifier.fit(train_features, examples.labels)
    seconds = time.process_time() - start
    probabilities = classifier.predict_proba(_features_of_validation(recipe.texts))
    labels = np.array(parts_of(recipe.texts)["validation"].labels)
    loss = float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())
    weights = len(names_of(recipe.texts)) * (train_features.shape[1] + 1)
    return {
        **scores(labels, probabilities.argmax(axis=1), loss),
        **_costs(seconds, sum(examples.lengths), 0, weights),
    }


def scores(labels: np.ndarray, predicted: np.ndarray, loss: float) -> dict[str, Any]:
    right = accuracy(labels, predicted)
    majority = np.bincount(labels).max() / len(labels)
    return {
        "accuracy": right,
        "macro_f1": macro_f1(labels, predicted, labels.max() + 1),
        "loss": loss,
        "failed": bool(right <= majority),
    }


def _costs(seconds: float, tokens: int, steps: int, trainable: int) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 2),
        "tokens": tokens,
        "steps": steps,
        "trainable_parameters": trainable,
        "peak_memory_mb": round(peak_memory_mb()),
        "versions": f"torch {version('torch')}, transformers {version('transformers')}",
        "device": "cpu",
    }
