"""One run from your own texts to a tested model: prepare, train with early stopping, compare, test once."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from transformers import BertForSequenceClassification

from bertft_helpers.model_files.contents import require_kind
from bertft_helpers.models import has_head
from bertft_helpers.own_texts import folder as run_folder
from bertft_helpers.own_texts.conclusion import refuse_unsavable
from bertft_helpers.own_texts.costs import Meter
from bertft_helpers.own_texts.folder import Say
from bertft_helpers.own_texts.kinds import kind_for
from bertft_helpers.own_texts.prepared import Prepared, introduction
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.settings import BEST, TaskSettings
from bertft_helpers.own_texts.sources import digest_of
from bertft_helpers.own_texts.training import remedies_as_options, train
from bertft_helpers.pretrained import find_checkpoint, load_tokenizer
from bertft_helpers.reading.label_lists import LabelLists
from bertft_helpers.reading.report import FOUND_OUT, Format, Reading
from bertft_helpers.resume.processes import (
    Processes,
    as_first,
    joined,
    require_equal,
)
from bertft_helpers.resume.run import OnStep

__all__ = ["run_task", "train_classifier"]


def train_classifier(
    source: str | Path,
    out: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    group_column: str | None = None,
    checkpoint: str = "bundled",
    max_length: int = 256,
    policy: str = "head+tail",
    stride: int | None = None,
    class_weights: bool = False,
    epochs: int | None = None,
    learning_rate: float | None = None,
    batch_size: int = 16,
    seed: int = 0,
    skip_small_classes: bool = False,
    precision: str | None = None,
    exact: bool = False,
    keep: str = BEST,
    how: Format = FOUND_OUT,
    several: LabelLists | None = None,
    device: str | None = None,
    on_note: Say = print,
    on_step: OnStep | None = None,
) -> dict[str, Any] | None:
    """A classifier for the texts in ``source``, trained, tested once and reported in the folder ``out``.

    What ``bertft train`` does; call it again after any interruption and it goes on, and after the end it answers with
    the same results. ``on_step`` hears after each step how many are done, are planned at most, and its number of texts.
    ``several`` says where the labels stand of texts that have several. The results are returned as they stand in
    ``results.json``; in all processes but the first it is None.
    Raises UserError for texts or settings that cannot be, RunError for what could not be done, OSError for what the
    system refuses.
    """
    settings = TaskSettings(
        source=str(source),
        text_column=text_column,
        label_column=label_column,
        group_column=group_column,
        checkpoint=checkpoint,
        max_length=max_length,
        policy=policy,
        stride=stride,
        class_weights=class_weights,
        seed=seed,
        skip_small_classes=skip_small_classes,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        precision=precision,
        exact=exact,
        keep=keep,
        how=how,
        several=several,
    )
    with joined(device) as processes:
        say = on_note if processes.is_first else _say_nothing
        results = as_first(lambda: _answer_again(settings, Path(out), say), processes)
        if results is None:
            record = run_task(settings, Path(out), processes, say, on_step if processes.is_first else None)
            results = None if record is None else record.results
        return results if processes.is_first else None


def _say_nothing(line: str) -> None:
    """What a process that is not the first has to say."""


def _answer_again(settings: TaskSettings, out: Path, say: Say) -> dict[str, Any] | None:
    """The results of a finished run, which answers only for the texts and settings that are in it."""
    results = run_folder.finished_results(out, say)
    if results is not None:
        dataset, _ = kind_for(settings).load(settings)
        run_folder.refuse_other(out, settings, digest_of(dataset))
        run_folder.tidy(out, say)
        say("this run is finished; its results:")
    return results


def run_task(
    settings: TaskSettings, out: Path, processes: Processes, say: Say = print, on_step: OnStep | None = None
) -> TaskRecord | None:
    """Train, save the model, test once, compare, report; with the same folder it goes on after any interruption.

    ``out`` is held until the end. Returns None in all processes but the first. Raises as ``train_classifier`` does.
    """
    kind = kind_for(settings)
    prepared, max_length, reading, model = _get_ready(settings, processes)
    with contextlib.ExitStack() as held:
        held.enter_context(remedies_as_options(prepared))
        as_first(lambda: run_folder.take(out, settings, prepared.digest, held), processes)
        held.enter_context(run_folder.removal_told(out))
        notes = _about_head(settings.checkpoint)
        notes += kind.warnings(prepared, max_length, settings)
        _introduce(prepared, reading, notes, say)
        choice = as_first(lambda: run_folder.take_choice(out, settings, processes.device, say), processes)
        if processes.count > 1:  # bytes come from one generator, and every process needs draws of its own
            choice = dataclasses.replace(choice, dropout="torch")
        meter = Meter(out / run_folder.TRAINING, processes.device)
        model, history, planned, best_epoch = train(
            model,
            prepared,
            settings,
            choice,
            out / run_folder.TRAINING,
            processes,
            kind.objective(prepared, settings),
            say,
            _metered(on_step, meter, processes),
        )
        if not processes.is_first:
            return None
        meter.write()
        how = dataclasses.asdict(planned)
        run = {**dataclasses.asdict(settings), **how.pop("config"), **how, **meter.sums(), "dropout": choice.dropout}
        run |= {"processes": processes.count, "device": str(processes.device)}
        run |= {"epochs_done": len(history.epochs), "best_epoch": best_epoch}
        return kind.conclude(settings, out, prepared, max_length, model, history, run, notes, say)


def _metered(on_step: OnStep | None, meter: Meter, processes: Processes) -> OnStep | None:
    """``on_step`` that also keeps the sums of what the run has cost; only the first process has any."""
    if not processes.is_first:
        return None

    def metered(done: int, planned: int, texts: int) -> None:
        meter.tick()
        if on_step is not None:
            on_step(done, planned, texts)

    return metered


def _get_ready(
    settings: TaskSettings, processes: Processes
) -> tuple[Prepared, int, Reading, BertForSequenceClassification]:
    """The prepared texts, the length that they were cut to, how they were read, and the untrained model.

    All that can be refused: it comes before a folder is taken.
    """
    require_kind(find_checkpoint(settings.checkpoint), "bert")  # before its tokenizer and the texts are read
    kind = kind_for(settings)
    dataset, reading = kind.load(settings)
    tokenizer = load_tokenizer(settings.checkpoint)
    max_length = min(settings.max_length, tokenizer.model_max_length)
    prepared = kind.prepare(settings, dataset, tokenizer, max_length)
    require_equal("texts", prepared.digest, processes, "give all of them the same data")
    model = kind.build(settings.checkpoint, prepared.label_names, settings.seed)
    refuse_unsavable(settings, model)
    return prepared, max_length, reading, model


def _introduce(prepared: Prepared, reading: Reading, notes: list[str], say: Say) -> None:
    for line in [reading.summary(), introduction(prepared), *(f"note: {note}" for note in [*reading.notes, *notes])]:
        say(line)


def _about_head(checkpoint: str) -> list[str]:
    if not has_head(checkpoint):
        return []
    return [
        f"the checkpoint {checkpoint} is a classifier already: its encoder is trained on, with a new head for the "
        "labels of these texts"
    ]
