"""How far a training run has come: saved as a state, restored from one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bertft_helpers.history import History, Step
from bertft_helpers.resume.identity import Run, identity_of, refuse_other_run
from bertft_helpers.resume.states import (
    StateNotWritten,
    Tensors,
    join_optimizer,
    prune_states,
    random_state,
    read_state,
    set_random_state,
    split_optimizer,
    write_state,
)
from bertft_helpers.speed.dropout import byte_generator
from bertft_helpers.training import make_scaler

__all__ = ["VERSIONED", "Note", "Progress"]

Note = Callable[[str], None]
VERSIONED = ("torch", "transformers")  # packages whose change can change the numbers


class Progress:
    """What a run changes while it goes on: ``epoch`` counts finished epochs, ``step`` the steps in the one after them.

    Raises UserError for a run that cannot be resumed exactly. Early stopping starts anew.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.identity = identity_of(run)
        self.scaler = make_scaler(run.model, run.config)
        self.history = History()
        self.epoch = self.step = 0
        if run.stopping is not None:
            run.stopping.reset()

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or early stopping has ended the run."""
        stopping = self.run.stopping
        stopped = stopping is not None and stopping.waited >= stopping.patience
        return stopped or self.epoch >= self.run.config.epochs

    def save(self, folder: Path, keep: int, on_note: Note) -> None:
        """Write a state; when the disk refuses, say so and go on, since the earlier states are intact."""
        done = len(self.history.steps)
        try:
            write_state(folder, done, self._tensors(), self._facts())
        except StateNotWritten as error:
            on_note(f"the state of step {done} was not saved ({error}); training goes on")
            return
        try:
            prune_states(folder, keep, self.best_step)
        except OSError as error:
            on_note(f"older states could not be removed from {folder} ({error}); training goes on")

    def restore(self, path: Path, on_note: Note) -> None:
        """Take over a state. Raises DamagedStateError, or UserError naming how the state's run differs."""
        run = self.run
        tensors, facts = read_state(path)
        refuse_other_run(path.name, facts["identity"], self.identity)
        _note_other_versions(path.name, facts["versions"], on_note)
        run.model.load_state_dict(tensors["model"])
        run.optimizer.load_state_dict(join_optimizer(tensors["optimizer"], facts["optimizer_groups"]))
        if run.schedule is not None:
            run.schedule.load_state_dict({**run.schedule.state_dict(), **facts["schedule"]})
        if self.scaler is not None:
            self.scaler.load_state_dict(facts["scaler"])
        if run.stopping is not None:
            for name, value in facts["stopping"].items():
                setattr(run.stopping, name, value)
            run.stopping.best_weights = tensors.get("best")
        self.history = History([Step(**step) for step in facts["steps"]], facts["epochs"])
        self.epoch, self.step = facts["epoch"], facts["step"]
        if absent := set_random_state(tensors["random"], byte_generator(run.model)):
            on_note(f"{path.name} was saved with {', '.join(absent)}, absent here: dropout there is drawn anew")

    @property
    def best_step(self) -> int | None:
        """The number of steps at the end of the best epoch: early stopping's, or that of the lowest validation loss."""
        if not self.history.epochs:
            return None
        best = min(self.history.epochs, key=lambda row: row["validation_loss"])["epoch"]
        if self.run.stopping is not None and self.run.stopping.best_epoch:
            best = self.run.stopping.best_epoch
        return int(best) * self.run.steps_per_epoch

    def _tensors(self) -> dict[str, Tensors]:
        run = self.run
        tensors: dict[str, Tensors] = {
            "model": run.model.state_dict(),
            "optimizer": split_optimizer(run.optimizer)[0],
            "random": random_state(byte_generator(run.model)),
        }
        if run.stopping is not None and run.stopping.best_weights is not None:
            tensors["best"] = run.stopping.best_weights
        return tensors

    def _facts(self) -> dict[str, Any]:
        run, plain = self.run, (int, float, str, bool, type(None), list)
        schedule = {} if run.schedule is None else run.schedule.state_dict()
        stopping = {} if run.stopping is None else vars(run.stopping)
        return {
            "identity": self.identity,
            "epoch": self.epoch,
            "step": self.step,
            "steps": [dataclasses.asdict(step) for step in self.history.steps],
            "epochs": self.history.epochs,
            "optimizer_groups": split_optimizer(run.optimizer)[1],
            "schedule": {name: value for name, value in schedule.items() if isinstance(value, plain)},
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "stopping": {name: value for name, value in stopping.items() if name != "best_weights"},
            "versions": {name: version(name) for name in VERSIONED},
        }


def _note_other_versions(state: str, saved: dict[str, str], on_note: Note) -> None:
    changed = [
        f"{name} {saved.get(name, 'unknown')} (now {version(name)})"
        for name in VERSIONED
        if saved.get(name) != version(name)
    ]
    if changed:
        on_note(f"{state} was saved with {' and '.join(changed)}: numbers may differ in their last digits")
