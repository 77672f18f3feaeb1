"""Stop at any moment and go on exactly: a training run that saves its state and resumes from the newest good one."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

import torch

from bertft_helpers.batching import set_epoch
from bertft_helpers.errors import RunError, UserError
from bertft_helpers.history import History
from bertft_helpers.resume.identity import Run
from bertft_helpers.resume.progress import Note, Progress
from bertft_helpers.resume.states import DamagedStateError, one_writer, states_in
from bertft_helpers.training import close_epoch, groups_of, switch_weights, train_step
from bertft_helpers.validation import check_run

__all__ = ["OnStep", "fit_resumable"]

OnStep = Callable[[int, int, int], None]  # (steps done in all calls, steps planned at most, texts of this step)


def fit_resumable(
    run: Run,
    folder: Path,
    save_every: int = 100,
    keep: int = 2,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    on_note: Note = print,
    writes: bool = True,
    on_step: OnStep | None = None,
) -> History:
    """``training.fit`` that saves a state every ``save_every`` steps and each epoch, and goes on from the newest one.

    Call it again with the same arguments after any interruption: parameters, optimizer and history end bit for bit as
    if nothing had happened. A damaged state is stepped over and noted. Keeps the ``keep`` newest states and the best
    epoch's; a state that the disk does not take is noted, and training goes on. Raises UserError when the folder holds
    another run (naming the difference), RunError when another process writes to it or no state in it can be read. Of
    several processes that train together only one ``writes``; the others resume from what it wrote. ``on_step`` is
    called after each step.
    """
    for name, value in {"save_every": save_every, "keep": keep}.items():
        if value < 1:
            raise UserError(f"{name} is {value}; it must be at least 1")
    check_run(run.model, run.train_loader, run.validation_loader)
    progress = Progress(run)
    save = (lambda: progress.save(folder, keep, on_note)) if writes else (lambda: None)
    with one_writer(folder, on_note) if writes else contextlib.nullcontext():
        _restore_newest(progress, folder, on_note)
        while not progress.is_finished:
            _finish_epoch(progress, save, save_every, on_step)
            row = _close_epoch(progress)
            save()
            if on_epoch is not None:
                on_epoch(row)
    if run.stopping is not None:
        run.stopping.restore(run.model)
    return progress.history


def _finish_epoch(progress: Progress, save: Callable[[], None], save_every: int, on_step: OnStep | None) -> None:
    """Train the rest of the current epoch, from step ``progress.step`` on."""
    run, resumed_at = progress.run, torch.get_rng_state()
    set_epoch(run.train_loader, progress.epoch)
    groups = groups_of(run.train_loader, run.config.accumulate)
    if progress.step:
        # Skipping batches, and starting a loader, draws random numbers that the interrupted run had drawn before.
        next(itertools.islice(groups, progress.step - 1, progress.step))
        torch.set_rng_state(resumed_at)
    run.model.train()
    switch_weights(run.optimizer, "train")
    for group in groups:
        step = train_step(run.model, group, run.optimizer, run.schedule, run.config, run.loss_fn, progress.scaler)
        progress.history.steps.append(step)
        progress.step += 1
        if on_step is not None:
            on_step(len(progress.history.steps), run.config.epochs * run.steps_per_epoch, step.targets)
        if progress.step % save_every == 0 and progress.step < run.steps_per_epoch:
            save()


def _close_epoch(progress: Progress) -> dict[str, float]:
    """Evaluate, and let early stopping see the epoch's row."""
    run = progress.run
    switch_weights(run.optimizer, "eval")
    steps = progress.history.steps[-progress.step :]
    row = close_epoch(run.model, run.validation_loader, progress.epoch + 1, steps, run.config.precision)
    progress.history.epochs.append(row)
    progress.epoch, progress.step = progress.epoch + 1, 0
    if run.stopping is not None:
        run.stopping.update(row, run.model)
    return row


def _restore_newest(progress: Progress, folder: Path, on_note: Note) -> None:
    states = states_in(folder)
    for path in reversed(states):
        try:
            progress.restore(path, on_note)
        except DamagedStateError as error:
            on_note(f"stepped over {error}")
        else:
            on_note(f"resumed from {path.name}: epoch {progress.epoch + 1}, step {progress.step}")
            return
    if states:
        raise RunError(f"none of the {len(states)} states in {folder} can be read; move them away to start anew")
