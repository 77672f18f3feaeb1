"""Predict, evaluate, and say how sure a score is."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from bertft_helpers.batching import column_of, move_batch
from bertft_helpers.errors import UserError
from bertft_helpers.losses import IGNORE, forward_logits

BLOCK = 2**20  # values that the bootstrap holds at once: 16 MB with their row numbers


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Example-weighted ``loss`` and ``accuracy`` over ``targets`` labels."""

    loss: float
    accuracy: float
    targets: int


@dataclasses.dataclass(frozen=True)
class Predictions:
    """``logits`` ``[examples, labels]`` and true ``labels`` ``[examples]`` as arrays, in the examples' order."""

    logits: np.ndarray
    labels: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, ``[examples, labels]``."""
        shifted = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    @property
    def classes(self) -> np.ndarray:
        """The most probable label of each example, ``[examples]``."""
        return self.logits.argmax(axis=1)


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Dropout off and no autograd inside; the mode that the model had comes back afterwards, also after an error.

    Written out in lesson 22.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def evaluate(model: nn.Module, loader: DataLoader) -> Evaluation:
    """Cross-entropy and accuracy over a loader; sums and counts are divided once, so a short batch weighs by its size.

    Ignored labels (-100) count nowhere. Raises ValueError when no label is left. Written out in lesson 22.
    """
    device = next(model.parameters()).device
    loss_sum, correct, targets = 0.0, 0, 0
    with evaluation_mode(model):
        for batch in loader:
            batch = move_batch(batch, device)
            logits = forward_logits(model, batch).float().flatten(0, -2)  # [targets, labels], also of tokens
            labels = column_of(batch, "labels").flatten()
            loss_sum += cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum").item()
            correct += int((logits.argmax(dim=1) == labels).sum())
            targets += int((labels != IGNORE).sum())
    if targets == 0:
        raise UserError("no label to evaluate: the loader is empty or every label is ignored (-100)")
    return Evaluation(loss_sum / targets, correct / targets, targets)


def predict(model: nn.Module, loader: DataLoader) -> Predictions:
    """The logits of every example of a loader, in the order of the examples (not of the batches).

    Batches say by ``rows`` which examples they hold; without it the examples are counted as they come. Raises UserError
    for an empty loader and for batches without labels. Written out in lesson 22.
    """
    device = next(model.parameters()).device
    logits, labels, rows, seen = [], [], [], 0
    with evaluation_mode(model):
        for batch in loader:
            logits.append(forward_logits(model, move_batch(batch, device)).float().cpu())
            labels.append(column_of(batch, "labels").cpu())
            count = len(labels[-1])
            rows.append(batch["rows"].cpu() if "rows" in batch else torch.arange(seen, seen + count))
            seen += count
    if not seen:
        raise UserError("no example to predict: the loader is empty")
    order = torch.argsort(torch.cat(rows))
    return Predictions(torch.cat(logits)[order].numpy(), torch.cat(labels)[order].numpy())


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., np.ndarray] = np.mean,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a statistic of ``values`` ``[examples]`` (Efron 1979).

    ``statistic(samples, axis=1)`` maps ``[samples, examples]`` to ``[samples]``; it is asked for some resamples at a
    time, so that memory does not grow with ``resamples``. Raises ValueError for no values. Written out in lesson 22.
    """
    values = np.asarray(values, dtype=float)
    if values.size == 0 or not 0 < level < 1:
        raise UserError(f"{values.size} values at level {level}: at least one value and a level in (0, 1) are needed")
    generator = np.random.default_rng(seed)
    at_once = max(1, BLOCK // len(values))
    found = []
    for start in range(0, resamples, at_once):
        rows = generator.integers(0, len(values), size=(min(at_once, resamples - start), len(values)))
        found.append(statistic(values[rows], axis=1))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(found), [tail, 1 - tail])
    return float(low), float(high)
