"""A number as the target: a head with one output, squared errors, and a scale on which BERT can learn it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from transformers import BertForSequenceClassification

from bertft_helpers.batching import Batch, column_of
from bertft_helpers.errors import UserError
from bertft_helpers.losses import forward_logits
from bertft_helpers.metrics import Floats
from bertft_helpers.models import build_with_head


class Scale(NamedTuple):
    """The mean and the standard deviation of the training numbers."""

    mean: float
    spread: float

    def shrink(self, numbers: ArrayLike) -> Floats:
        """Numbers as the model learns them: about 0 in the middle, about 1 from it."""
        return (np.asarray(numbers, dtype=float) - self.mean) / self.spread

    def restore(self, shrunk: ArrayLike) -> Floats:
        """The model's numbers on the scale of the targets."""
        return np.asarray(shrunk, dtype=float) * self.spread + self.mean


def measure_scale(numbers: Sequence[float]) -> Scale:
    """The scale of the training numbers. Raises UserError naming rows (from 1) that are no number, and for equal ones.

    Written out in lesson A6.
    """
    values = np.asarray(numbers, dtype=float)
    if (wrong := np.flatnonzero(~np.isfinite(values))).size:
        raise UserError(f"row {wrong[0] + 1}: the target is {values[wrong[0]]}; give a finite number or remove the row")
    if len(values) < 2 or values.std() == 0:
        raise UserError(f"the {len(values)} targets do not differ: at least two different numbers are needed")
    return Scale(float(values.mean()), float(values.std()))


def build_regressor(checkpoint: str, name: str, seed: int) -> BertForSequenceClassification:
    """transformers' BERT with a head of one output, called ``name``. Raises as ``loading.load_model``."""
    model = build_with_head(BertForSequenceClassification, checkpoint, [name], seed)
    model.config.problem_type = "regression"
    return cast(BertForSequenceClassification, model)


def squared_loss(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared errors summed over the batch, and their number (both 0-d tensors); ``labels`` are numbers ``[batch]``.

    Written out in lesson A6.
    """
    labels = column_of(batch, "labels").float()
    errors = forward_logits(model, batch).float().squeeze(-1) - labels
    return errors.square().sum(), torch.tensor(labels.numel(), device=labels.device)
