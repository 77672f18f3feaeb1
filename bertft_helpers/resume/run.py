"""Stop at any moment and go on exactly: a training run that saves its state and resumes from the newest good one."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import RunError, UserError
from bertft_helpers.losses import LossFn, classification_loss
from bertft_helpers.resume.states import (
    DamagedStateError,
    join_optimizer,
    one_writer,
    prune_states,
    random_state,
    read_state,
    set_random_state,
    split_optimizer,
    states_in,
    write_state,
)
from bertft_helpers.speed.dropout import byte_generator
from bertft_helpers.training import (
    EarlyStopping,
    History,
    Step,
    close_epoch,
    groups_of,
    make_scaler,
    train_step,
)
from bertft_helpers.validation import check_run

Note = Callable[[str], None]
VERSIONED = ("torch", "transformers")  # packages whose change can change the numbers


@dataclasses.dataclass
class Run:
    """Everything that a training run changes while it goes on, and the identity that it must keep.

    ``epoch`` counts finished epochs, ``step`` the optimizer steps done in the one after them.
    """

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    scaler: torch.amp.GradScaler | None
    stopping: EarlyStopping | None
    identity: dict[str, Any]
    history: History = dataclasses.field(default_factory=History)
    epoch: int = 0
    step: int = 0

    def save(self, folder: Path, keep: int, on_note: Note) -> None:
        """Write a state; when the disk refuses, say so and go on, since the earlier states are intact."""
        try:
            write_state(folder, len(self.history.steps), self._tensors(), self._facts())
            prune_states(folder, keep, self._best_step())
        except OSError as error:
            on_note(f"the state of step {len(self.history.steps)} was not saved ({error}); training goes on")

    def restore(self, path: Path) -> None:
        """Take over a state. Raises DamagedStateError, or ValueError naming how the state's run differs."""
        tensors, facts = read_state(path)
        _refuse_other_run(path, facts["identity"], self.identity)
        self.model.load_state_dict(tensors["model"])
        self.optimizer.load_state_dict(join_optimizer(tensors["optimizer"], facts["optimizer_groups"]))
        self.schedule.load_state_dict({**self.schedule.state_dict(), **facts["schedule"]})
        if self.scaler is not None:
            self.scaler.load_state_dict(facts["scaler"])
        if self.stopping is not None:
            for name, value in facts["stopping"].items():
                setattr(self.stopping, name, value)
            self.stopping.best_weights = tensors.get("best")
        self.history = History([Step(**step) for step in facts["steps"]], facts["epochs"])
        self.epoch, self.step = facts["epoch"], facts["step"]
        set_random_state(tensors["random"], byte_generator(self.model))

    def _best_step(self) -> int | None:
        """The number of steps at the end of the epoch with the lowest validation loss."""
        if not self.history.epochs:
            return None
        best = min(self.history.epochs, key=lambda row: row["validation_loss"])
        return int(best["epoch"]) * self.identity["steps_per_epoch"]

    def _tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        tensors = {
            "model": self.model.state_dict(),
            "optimizer": split_optimizer(self.optimizer)[0],
            "random": random_state(byte_generator(self.model)),
        }
        if self.stopping is not None and self.stopping.best_weights is not None:
            tensors["best"] = self.stopping.best_weights
        return tensors

    def _facts(self) -> dict[str, Any]:
        plain = (int, float, str, bool, type(None), list)
        stopping = {} if self.stopping is None else vars(self.stopping)
        return {
            "identity": self.identity,
            "epoch": self.epoch,
            "step": self.step,
            "steps": [dataclasses.asdict(step) for step in self.history.steps],
            "epochs": self.history.epochs,
            "optimizer_groups": split_optimizer(self.optimizer)[1],
            "schedule": {name: value for name, value in self.schedule.state_dict().items() if isinstance(value, plain)},
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "stopping": {name: value for name, value in stopping.items() if name != "best_weights"},
            "versions": {name: version(name) for name in VERSIONED},
        }


def fit_resumable(
    model: nn.Module,
    train_loader: DataLoader,
    validation_loader: DataLoader,
    optimizer: Optimizer,
    schedule: LRScheduler,
    config: TrainConfig,
    folder: Path,
    loss_fn: LossFn = classification_loss,
    stopping: EarlyStopping | None = None,
    save_every: int = 100,
    keep: int = 2,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    on_note: Note = print,
    writes: bool = True,
) -> History:
    """``training.fit`` that saves a state every ``save_every`` steps and each epoch, and goes on from the newest one.

    Call it again with the same arguments after any interruption: parameters, optimizer and history end bit for bit as
    if nothing had happened. A damaged state is stepped over and noted. Keeps the ``keep`` newest states and the best
    epoch's. Raises ValueError when the folder holds another run (naming the difference), RuntimeError when another
    process writes to it or no state in it can be read. Of several processes that train together only one ``writes``;
    the others resume from what it wrote.
    """
    check_run(model, train_loader, validation_loader)
    run = Run(
        model,
        optimizer,
        schedule,
        make_scaler(model, config),
        stopping,
        identity_of(model, train_loader, config, stopping),
    )
    save = (lambda: run.save(folder, keep, on_note)) if writes else (lambda: None)
    with one_writer(folder, on_note) if writes else contextlib.nullcontext():
        _restore_newest(run, folder, on_note)
        while run.epoch < config.epochs and not _stopped(stopping):
            _finish_epoch(run, train_loader, config, loss_fn, save, save_every)
            row = close_epoch(model, validation_loader, run.epoch + 1, run.history.steps[-run.step :])
            run.history.epochs.append(row)
            if stopping is not None:
                stopping.update(row, model)
            run.epoch, run.step = run.epoch + 1, 0
            save()
            if on_epoch is not None:
                on_epoch(row)
    if stopping is not None:
        stopping.restore(model)
    return run.history


def identity_of(
    model: nn.Module, train_loader: DataLoader, config: TrainConfig, stopping: EarlyStopping | None = None
) -> dict[str, Any]:
    """What must be equal for a state to belong to a run: settings, training data, labels, model shape, dropout."""
    data, labels = hashlib.sha256(), hashlib.sha256()
    examples, sampler = train_loader.dataset, train_loader.batch_sampler
    for ids, label in zip(examples.input_ids, examples.labels, strict=True):
        data.update(repr(list(ids)).encode())
        labels.update(f"{label},".encode())
    shapes = [f"{name} {tuple(tensor.shape)}" for name, tensor in model.state_dict().items()]
    return {
        **dataclasses.asdict(config),
        "training texts": data.hexdigest(),
        "training labels": labels.hexdigest(),
        "order of the loader": f"seed {sampler.seed}, batches of {sampler.batch_size}",
        "steps_per_epoch": -(-len(train_loader) // config.accumulate),
        "model": hashlib.sha256("\n".join(shapes).encode()).hexdigest(),
        "dropout": "plain" if byte_generator(model) is None else "drawn as bytes",
        "early stopping": None if stopping is None else [stopping.patience, stopping.monitor, stopping.min_change],
    }


def _stopped(stopping: EarlyStopping | None) -> bool:
    return stopping is not None and stopping.waited >= stopping.patience


def _finish_epoch(
    run: Run, loader: DataLoader, config: TrainConfig, loss_fn: LossFn, save: Callable[[], None], save_every: int
) -> None:
    """Train the rest of the current epoch, from step ``run.step`` on."""
    resumed_at = torch.get_rng_state()
    loader.batch_sampler.set_epoch(run.epoch)
    groups = groups_of(loader, config.accumulate)
    if run.step:
        # Skipping batches, and starting a loader, draws random numbers that the interrupted run had drawn before.
        next(itertools.islice(groups, run.step - 1, run.step))
        torch.set_rng_state(resumed_at)
    run.model.train()
    for group in groups:
        run.history.steps.append(train_step(run.model, group, run.optimizer, run.schedule, config, loss_fn, run.scaler))
        run.step += 1
        if run.step % save_every == 0 and run.step < run.identity["steps_per_epoch"]:
            save()


def _restore_newest(run: Run, folder: Path, on_note: Note) -> None:
    states = states_in(folder)
    for path in reversed(states):
        try:
            run.restore(path)
        except DamagedStateError as error:
            on_note(f"stepped over {error}")
        else:
            on_note(f"resumed from {path.name}: epoch {run.epoch + 1}, step {run.step}")
            return
    if states:
        raise RunError(f"none of the {len(states)} states in {folder} can be read; move them away to start anew")


def _refuse_other_run(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    different = [
        f"{name} (saved {saved.get(name)!r}, now {wanted.get(name)!r})"
        for name in wanted
        if saved.get(name) != wanted.get(name)
    ]
    if different:
        raise UserError(
            f"{path.name} belongs to another run; different are {'; '.join(different)}. "
            "Use the same settings and data, or another folder."
        )
