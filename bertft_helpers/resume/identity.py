"""What a training run is made of, and what must be equal for a saved state to belong to it."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader

from bertft_helpers.batching import BucketBatchSampler, EncodedTexts
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.losses import LossFn, classification_loss
from bertft_helpers.speed.dropout import byte_generator
from bertft_helpers.training import EarlyStopping, steps_per_run

__all__ = ["Run", "identity_of", "name_of_loss", "refuse_other_run"]


@dataclasses.dataclass(frozen=True)
class Run:
    """What ``training.fit`` is given, in one piece: what is trained, on what, by what, and when it ends.

    ``train_loader`` is one of ``batching.make_loader``: going on exactly needs an order that follows from seed and
    epoch.
    """

    model: nn.Module
    train_loader: DataLoader
    validation_loader: DataLoader
    optimizer: Optimizer
    schedule: LRScheduler | None
    config: TrainConfig
    loss_fn: LossFn = classification_loss
    stopping: EarlyStopping | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return -(-len(self.train_loader) // self.config.accumulate)


def identity_of(run: Run) -> dict[str, Any]:
    """What a run was asked to do, as plain values by the names that a refusal uses; take it before the first step.

    Raises UserError for a training loader whose order cannot be repeated.
    """
    examples, sampler = getattr(run.train_loader, "dataset", None), getattr(run.train_loader, "batch_sampler", None)
    if not isinstance(examples, EncodedTexts) or not isinstance(sampler, BucketBatchSampler):
        raise UserError(
            "a run that can be resumed needs a training loader whose order follows from seed and epoch: make it with "
            "batching.make_loader(examples, batch_size, seed=...)"
        )
    trained = (name for name, parameter in run.model.named_parameters() if parameter.requires_grad)
    stopping = run.stopping
    return {
        **dataclasses.asdict(run.config),
        **_optimizer_identity(run.optimizer),
        "schedule": _schedule_identity(run),
        "loss": name_of_loss(run.loss_fn),
        "training texts": _digest(list(ids) for ids in examples.input_ids),
        "training labels": _digest(examples.labels),
        "order of the loader": f"seed {sampler.seed}, batches of {sampler.batch_size}",
        "model": _digest((name, tuple(tensor.shape)) for name, tensor in run.model.state_dict().items()),
        "trained parameters": _digest(trained),
        "dropout": "plain" if byte_generator(run.model) is None else "drawn as bytes",
        "early stopping": None if stopping is None else [stopping.patience, stopping.monitor, stopping.min_change],
    }


def refuse_other_run(state: str, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise UserError naming every value in which the run that wrote ``state`` differs from the one that is wanted."""
    different = [
        f"{name} (saved {saved.get(name)!r}, now {value!r})"
        for name, value in wanted.items()
        if saved.get(name) != value
    ]
    if different:
        raise UserError(
            f"{state} belongs to another run; different are {'; '.join(different)}. "
            "Use the same settings and data, or another folder."
        )


def name_of_loss(loss_fn: LossFn) -> str:
    """A loss function's name and the values that it was built with.

    A function around it that computes the same loss (to count calls, say) is looked through where ``functools.wraps``
    marks it as such.
    """
    inner = inspect.unwrap(loss_fn)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    held = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
    values = [f"{key}={_plain(value)}" for key, value in sorted(held.items())]
    return f"{name}({', '.join(values)})" if values else name


def _plain(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return str(value.tolist()) if value.numel() <= 100 else _digest(value.flatten().tolist())
    return repr(value) if isinstance(value, int | float | str | type(None)) else type(value).__name__


def _optimizer_identity(optimizer: Optimizer) -> dict[str, Any]:
    named_apart = ("params", "lr", "initial_lr", "weight_decay")
    others = [
        sorted((name, repr(value)) for name, value in group.items() if name not in named_apart)
        for group in optimizer.param_groups
    ]
    return {
        "optimizer": type(optimizer).__name__,
        "learning rates": [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups],
        "weight decay": [float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups],
        "other settings of the optimizer": _digest(others),
    }


def _schedule_identity(run: Run) -> str | None:
    """A schedule by its kind and, where it is a function of the step, by all values of that function."""
    schedule = run.schedule
    if schedule is None:
        return None
    if isinstance(schedule, LambdaLR):
        steps = range(steps_per_run(run.train_loader, run.config) + 1)
        values: Iterable[object] = ([rule(step) for rule in schedule.lr_lambdas] for step in steps)
    else:
        values = sorted((name, repr(value)) for name, value in schedule.state_dict().items())
    return f"{type(schedule).__name__} {_digest(values)[:12]}"


def _digest(values: Iterable[object]) -> str:
    """A hash of some values; long collections need not be held as one text."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value!r},".encode())
    return digest.hexdigest()
