"""The training loop: a step, an epoch, a run, and when to stop it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from bertft_helpers.batching import Batch, move_batch, set_epoch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.failures import is_out_of_memory, refuse_divergence, smaller_batches
from bertft_helpers.history import History, Step
from bertft_helpers.losses import LossFn, classification_loss
from bertft_helpers.runtime import mixed_precision
from bertft_helpers.validation import check_run

__all__ = [
    "EarlyStopping",
    "close_epoch",
    "divide_and_clip",
    "fit",
    "groups_of",
    "make_scaler",
    "steps_per_run",
    "switch_weights",
    "train_epoch",
    "train_step",
]


@dataclasses.dataclass
class EarlyStopping:
    """Ends a run when ``monitor`` has not improved by more than ``min_change`` for ``patience`` epochs.

    ``monitor`` is a column of the epoch's row; a name that ends in ``loss`` improves downwards, any other upwards.
    Keeps a copy of the best epoch's weights. Raises UserError for a patience below 1 and a column that rows have not.
    Written out in lesson 29.
    """

    patience: int
    monitor: str = "validation_loss"
    min_change: float = 0.0
    best_value: float | None = None
    best_epoch: int = 0
    waited: int = 0
    best_weights: dict[str, torch.Tensor] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.patience < 1 or not self.min_change >= 0:
            raise UserError(
                f"patience is {self.patience} and min_change {self.min_change}; "
                "the patience must be at least 1 epoch, the change at least 0"
            )

    def reset(self) -> None:
        """Forget what an earlier run taught it; every run begins with this."""
        self.best_value, self.best_epoch, self.waited, self.best_weights = None, 0, 0, None

    def update(self, row: dict[str, float], model: nn.Module) -> bool:
        """Take in an epoch's row; True when the run should end."""
        if self.monitor not in row:
            raise UserError(f"monitor is {self.monitor!r}; an epoch's row has {', '.join(row)}")
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
    schedule: LRScheduler | None,
    config: TrainConfig,
    loss_fn: LossFn = classification_loss,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    stopping: EarlyStopping | None = None,
) -> History:
    """Train for ``config.epochs`` epochs and evaluate after each; the model is changed in place.

    The caller builds model, loaders, optimizer and schedule (see ``optim.build_optimizer``). A loader's batches are
    dictionaries of tensors: ``input_ids``, ``attention_mask``, ``labels``, perhaps ``token_type_ids`` and ``rows``.
    With ``schedule=None`` the optimizer's rates stay as they are; a schedule-free optimizer, which has ``train()`` and
    ``eval()``, is told when the model trains and when it is used. ``on_epoch`` receives each epoch's row, for printing.
    With ``stopping`` the run may end earlier, and the model ends with the best epoch's weights.

    Raises UserError before the first step when examples and model do not fit. Written out in lesson 19.
    """
    check_run(model, train_loader, validation_loader)
    history = History()
    scaler = make_scaler(model, config)
    if stopping is not None:
        stopping.reset()
    for epoch in range(config.epochs):
        set_epoch(train_loader, epoch)
        steps = train_epoch(model, train_loader, optimizer, schedule, config, loss_fn, scaler)
        switch_weights(optimizer, "eval")
        row = close_epoch(model, validation_loader, epoch + 1, steps, config.precision)
        history.steps.extend(steps)
        history.epochs.append(row)
        if on_epoch is not None:
            on_epoch(row)
        if stopping is not None and stopping.update(row, model):
            break
    if stopping is not None:
        stopping.restore(model)
    return history


def close_epoch(
    model: nn.Module, validation_loader: DataLoader, epoch: int, steps: Sequence[Step], precision: str = "float32"
) -> dict[str, float]:
    """An epoch's row: its number from 1, the training loss per target over its steps, validation loss and accuracy.

    Validation is computed in ``precision``, that of training.
    """
    if not steps:
        raise UserError("the training loader gave no batch; at least one is needed for an epoch")
    with mixed_precision(next(model.parameters()).device, getattr(torch, precision)):
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
    schedule: LRScheduler | None,
    config: TrainConfig,
    loss_fn: LossFn = classification_loss,
    scaler: torch.amp.GradScaler | None = None,
) -> list[Step]:
    """One pass over the loader, ``config.accumulate`` batches to a step; the last group may be short.

    Written out in lesson 19.
    """
    model.train()
    switch_weights(optimizer, "train")
    steps = []
    for group in groups_of(loader, config.accumulate):
        steps.append(train_step(model, group, optimizer, schedule, config, loss_fn, scaler))
    return steps


def train_step(
    model: nn.Module,
    batches: Sequence[Batch],
    optimizer: Optimizer,
    schedule: LRScheduler | None,
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
    step = None if schedule is None else schedule.last_epoch + 1
    refuse_divergence(batches, step, loss_sum.item(), suspect, learning_rate)
    if _stepped(optimizer, scaler) and schedule is not None:
        schedule.step()
    return Step(loss_sum.item(), int(targets.item()), gradient_norm, learning_rate)


def _stepped(optimizer: Optimizer, scaler: torch.amp.GradScaler | None) -> bool:
    """Step; False where a gradient overflowed and the scaler skipped the step, for which the schedule waits too."""
    if scaler is None:
        optimizer.step()
        return True
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    return scaler.get_scale() >= scale


def switch_weights(optimizer: Optimizer, mode: str) -> None:
    """Tell an optimizer that keeps weights to train ("train") and to use ("eval") which the model must hold now.

    Schedule-free optimizers (Defazio et al. 2024) do; torch's own have no such methods and nothing happens.
    """
    if callable(switch := getattr(optimizer, mode, None)):
        switch()


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
    """How many optimizer steps ``fit`` will make. Raises UserError for a loader that does not know its length."""
    try:
        batches = len(train_loader)
    except TypeError as error:
        raise UserError("the loader does not know its length; count its batches and give the steps yourself") from error
    return config.epochs * math.ceil(batches / config.accumulate)
