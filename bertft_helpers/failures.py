"""Training that goes wrong: a loss that is no number, a batch that does not fit into memory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch

from bertft_helpers.batching import Batch
from bertft_helpers.config import TrainConfig


class DivergedError(RuntimeError):
    """The loss or a gradient is not a finite number; the weights are those of the last good step."""


class OutOfMemory(RuntimeError):
    """A batch does not fit into the memory of the device."""


def refuse_divergence(
    batches: Sequence[Batch], step: int, loss: float, gradient_norm: float, learning_rate: float
) -> None:
    """Raise DivergedError, with everything that helps to find the cause, unless loss and norm are finite."""
    if math.isfinite(loss) and math.isfinite(gradient_norm):
        return
    rows = [row for batch in batches if "rows" in batch for row in batch["rows"].tolist()]
    raise DivergedError(
        f"step {step} diverged: loss {loss}, gradient norm {gradient_norm}, learning rate {learning_rate:.3g}, "
        f"rows {rows}. The step was not made, so the weights are those of the step before. "
        "Look at these rows; if they are in order, lower the learning rate or clip_norm."
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: CUDA and MPS have a class for it, the CPU only a message."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def smaller_batches(error: BaseException, batches: Sequence[Batch], config: TrainConfig) -> list[Batch]:
    """The same examples in batches of half the size, to be accumulated to the same step.

    Raises OutOfMemory naming batch, length and the settings to change, unless ``config.halve_batches`` asks to go on
    and there is something left to halve.
    """
    count, length = max((batch["input_ids"] for batch in batches), key=torch.numel).shape
    told = f"a batch of {count} texts x {length} tokens does not fit into memory"
    if not config.halve_batches:
        raise OutOfMemory(
            f"{told}: lower batch_size (and raise accumulate as much, which keeps the effective batch) or max_length, "
            "or set halve_batches to go on with smaller pieces"
        ) from error
    if count == 1:
        raise OutOfMemory(f"{told}, and one text cannot be halved: lower max_length") from error
    warnings.warn(f"{told}; going on with halves, accumulated to the same effective batch", stacklevel=3)
    return [half for batch in batches for half in _halves(batch)]


def _halves(batch: Batch) -> list[Batch]:
    count = len(batch["input_ids"])
    if count == 1:
        return [batch]
    columns = {name: tensor.split(-(-count // 2)) for name, tensor in batch.items()}
    return [{name: pieces[number] for name, pieces in columns.items()} for number in range(2)]
