"""Steps of training that cannot be made: a loss that is no number, a batch that memory has no room for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch

from bertft_helpers.batching import Batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import RunError

__all__ = ["DivergedError", "OutOfMemory", "StepError", "is_out_of_memory", "refuse_divergence", "smaller_batches"]


class StepError(RunError):
    """A step that could not be made: ``told`` says what happened, ``remedy`` what to change in the call of ``fit``."""

    def __init__(self, told: str, remedy: str) -> None:
        super().__init__(told, remedy)
        self.told, self.remedy = told, remedy

    def __str__(self) -> str:
        return f"{self.told}. {self.remedy}."


class DivergedError(StepError):
    """The loss or a gradient is not a finite number; the weights are those of the last good step.

    ``rows`` are those of the step's examples, counted from 0, where the batches say which they hold.
    """

    def __init__(self, told: str, remedy: str, rows: Sequence[int] = ()) -> None:
        super().__init__(told, remedy)
        self.rows = list(rows)


class OutOfMemory(StepError):
    """A batch does not fit into the memory of the device."""


def refuse_divergence(
    batches: Sequence[Batch], step: int | None, loss: float, gradient_norm: float, learning_rate: float
) -> None:
    """Raise DivergedError, with everything that helps to find the cause, unless loss and norm are finite.

    ``step`` counts from 1; without a schedule nobody counts, and it is None.
    """
    if math.isfinite(loss) and math.isfinite(gradient_norm):
        return
    rows = [row for batch in batches if "rows" in batch for row in batch["rows"].tolist()]
    where = f" (rows {rows})" if rows else ""
    name = "a step" if step is None else f"step {step}"
    raise DivergedError(
        f"{name} diverged: loss {loss}, gradient norm {gradient_norm}, learning rate {learning_rate:.3g}. "
        "The step was not made, so the weights are those of the step before",
        f"Look at the texts of this step{where}; if they are in order, lower the learning rate or clip_norm",
        rows,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: CUDA and MPS have a class for it, the CPU only a message."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def smaller_batches(error: BaseException, batches: Sequence[Batch], config: TrainConfig) -> list[Batch]:
    """The same examples in batches of half the size, to be accumulated to the same step.

    Raises OutOfMemory naming batch, length and the settings to change, unless ``config.halve_batches`` asks to go on
    and there is something left to halve.
    """
    largest = max((batch.get("input_ids", batch["labels"]) for batch in batches), key=torch.numel)
    count, *length = largest.shape
    tokens = f" x {length[0]} tokens" if length else ""
    told = f"a batch of {count} text{'s' * (count > 1)}{tokens} does not fit into memory"
    if count == 1:
        raise OutOfMemory(f"{told}, and one text cannot be halved", "Lower max_length") from error
    if not config.halve_batches:
        raise OutOfMemory(
            told,
            "Lower batch_size (and raise accumulate as much, which keeps the effective batch) or max_length, or set "
            "halve_batches to go on with smaller pieces",
        ) from error
    warnings.warn(f"{told}; going on with halves, accumulated to the same effective batch", stacklevel=3)
    return [half for batch in batches for half in _halves(batch)]


def _halves(batch: Batch) -> list[Batch]:
    count = len(batch["labels"])
    if count == 1:
        return [batch]
    middle = -(-count // 2)
    return [{name: column[part] for name, column in batch.items()} for part in (slice(middle), slice(middle, None))]
