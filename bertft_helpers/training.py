"""The training loop: a step, an epoch, a run, when to stop it, and what is done when it goes wrong."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from bertft_helpers.batching import Batch, move_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import RunError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.history import History, Step
from bertft_helpers.losses import LossFn, classification_loss
from bertft_helpers.runtime import mixed_precision
from bertft_helpers.validation import check_run


@dataclasses.dataclass
class EarlyStopping:
    """Ends a run when ``monitor`` has not improved by more than ``min_change`` for ``patience`` epochs.

    ``monitor`` is a column of the epoch's row; a name that ends in ``loss`` improves downwards, any other upwards.
    Keeps a copy of the best epoch's weights. Written out in lesson 29.
    """

    patience: int
    monitor: str = "validation_loss"
    min_change: float = 0.0
    best_value: float | None = None
    best_epoch: int = 0
    waited: int = 0
    best_weights: dict[str, torch.Tensor] | None = dataclasses.field(default=None, repr=False)

    def update(self, row: dict[str, float], model: nn.Module) -> bool:
        """Take in an epoch's row; True when the run should end."""
        if self._improves(row[self.monitor]):
            self.best_value, self.best_epoch, self.waited = row[self.monitor], int(row["epoch"]), 0
            self.best_weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Give the model the best epoch's weights."""
        if self.best_weights is not None:
            model.load_state_dict(self.best_weights)

    def _improves(self, value: float) -> bool:
        if self.best_value is None:
            return not math.isnan(value)
        gain = self.best_value - value if self.monitor.endswith("loss") else value - self.best_value
        return gain > self.min_change


def fit(
    model: nn.Module,
    train_loader: DataLoader,
    validation_loader: DataLoader,
    optimizer: Optimizer,
    schedule: LRScheduler,
    config: TrainConfig,
    loss_fn: LossFn = classification_loss,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    stopping: EarlyStopping | None = None,
) -> History:
    """Train for ``config.epochs`` epochs and evaluate after each; the model is changed in place.

    The caller builds model, loaders, optimizer and schedule. ``on_epoch`` receives each epoch's row, for printing.
    With ``stopping`` the run may end earlier, and the model ends with the best epoch's weights.
    Raises ValueError before the first step when examples and model do not fit. Written out in lesson 19.
    """
    check_run(model, train_loader, validation_loader)
    history = History()
    scaler = make_scaler(model, config)
    for epoch in range(config.epochs):
        train_loader.batch_sampler.set_epoch(epoch)
        steps = train_epoch(model, train_loader, optimizer, schedule, config, loss_fn, scaler)
        row = close_epoch(model, validation_loader, epoch + 1, steps)
        history.steps.extend(steps)
        history.epochs.append(row)
        if on_epoch is not None:
            on_epoch(row)
        if stopping is not None and stopping.update(row, model):
            break
    if stopping is not None:
        stopping.restore(model)
    return history


def close_epoch(model: nn.Module, validation_loader: DataLoader, epoch: int, steps: Sequence[Step]) -> dict[str, float]:
    """An epoch's row: its number from 1, the training loss per target over its steps, validation loss and accuracy."""
    measured = evaluate(model, validation_loader)
    return {
        "epoch": epoch,
        "train_loss": sum(step.loss_sum for step in steps) / sum(step.targets for step in steps),
        "validation_loss": measured.loss,
        "validation_accuracy": measured.accuracy,
    }


def train_epoch(
    model: nn.Module,
    loader: DataLoader,
    optimizer: Optimizer,
    schedule: LRScheduler,
    config: TrainConfig,
    loss_fn: LossFn = classification_loss,
    scaler: torch.amp.GradScaler | None = None,
) -> list[Step]:
    """One pass over the loader, ``config.accumulate`` batches to a step; the last group may be short.

    Written out in lesson 19.
    """
    model.train()
    steps = []
    for group in groups_of(loader, config.accumulate):
        steps.append(train_step(model, group, optimizer, schedule, config, loss_fn, scaler))
    return steps


def train_step(
    model: nn.Module,
    batches: Sequence[Batch],
    optimizer: Optimizer,
    schedule: LRScheduler,
    config: TrainConfig,
    loss_fn: LossFn = classification_loss,
    scaler: torch.amp.GradScaler | None = None,
) -> Step:
    """One optimizer step on a group of batches, weighted as if they were one batch.

    Each batch adds the gradient of its summed loss; the sum is divided by the group's number of targets once.
    Raises DivergedError before a step whose loss or gradient is not finite, and OutOfMemory when a batch does not fit.
    Written out in lesson 19.
    """
    optimizer.zero_grad()
    pieces = None
    try:
        loss_sum, targets = _add_gradients(model, batches, config, loss_fn, scaler)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        pieces = smaller_batches(error, batches, config)
    if pieces is not None:  # outside the handler: the error holds on to the very memory that is missing
        return train_step(model, pieces, optimizer, schedule, config, loss_fn, scaler)
    if scaler is not None:
        scaler.unscale_(optimizer)
    divisor = targets.clamp(min=1)  # a group in which every label is ignored moves nothing
    gradient_norm = divide_and_clip(model.parameters(), divisor, config.clip_norm).item()
    learning_rate = optimizer.param_groups[0]["lr"]
    # A gradient that overflows under a scaler is planned for; a loss that is no number never is.
    suspect = gradient_norm if scaler is None else 0.0
    refuse_divergence(batches, schedule.last_epoch + 1, loss_sum.item(), suspect, learning_rate)
    if scaler is None:
        optimizer.step()
        schedule.step()
    else:
        _step_unless_overflowed(optimizer, schedule, scaler)
    return Step(loss_sum.item(), int(targets.item()), gradient_norm, learning_rate)


def _step_unless_overflowed(optimizer: Optimizer, schedule: LRScheduler, scaler: torch.amp.GradScaler) -> None:
    """Step and schedule; where a gradient overflowed the scaler skips the step, and the schedule waits too."""
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    if scaler.get_scale() >= scale:
        schedule.step()


def _add_gradients(
    model: nn.Module,
    batches: Sequence[Batch],
    config: TrainConfig,
    loss_fn: LossFn,
    scaler: torch.amp.GradScaler | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add each batch's gradient of its summed loss; returns the summed loss and the number of targets."""
    device = next(model.parameters()).device
    loss_sum = targets = torch.zeros((), device=device)
    for batch in batches:
        with mixed_precision(device, getattr(torch, config.precision)):
            batch_loss, batch_targets = loss_fn(model, move_batch(batch, device))
        (batch_loss if scaler is None else scaler.scale(batch_loss)).backward()
        loss_sum, targets = loss_sum + batch_loss.detach(), targets + batch_targets
    return loss_sum, targets


@torch.no_grad()
def divide_and_clip(parameters: Iterable[nn.Parameter], targets: torch.Tensor, clip_norm: float | None) -> torch.Tensor:
    """Divide all gradients by ``targets`` and scale them to a global norm of at most ``clip_norm``; both in one pass.

    Returns the norm after the division and before the clipping.
    Written out in lesson 19.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients) / targets
    factor = 1.0 if clip_norm is None else (clip_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, factor / targets)
    return norm


def make_scaler(model: nn.Module, config: TrainConfig) -> torch.amp.GradScaler | None:
    """A gradient scaler when ``config.precision`` is float16 (whose small gradients would vanish), else None."""
    if config.precision != "float16":
        return None
    return torch.amp.GradScaler(next(model.parameters()).device.type)


def groups_of(loader: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Consecutive batches in lists of ``size``; the last list holds what is left.

    Written out in lesson 19.
    """
    batches = iter(loader)
    while group := list(itertools.islice(batches, size)):
        yield group


def steps_per_run(train_loader: DataLoader, config: TrainConfig) -> int:
    """How many optimizer steps ``fit`` will make."""
    return config.epochs * math.ceil(len(train_loader) / config.accumulate)


class DivergedError(RunError):
    """The loss or a gradient is not a finite number; the weights are those of the last good step."""


class OutOfMemory(RunError):
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
