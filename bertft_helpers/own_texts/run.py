"""One run from your own texts to a tested model: prepare, train with early stopping, compare, test once."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import BertForSequenceClassification

from bertft_helpers.batching import Batch, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import Predictions, predict
from bertft_helpers.files import write_json
from bertft_helpers.history import History, write_csv
from bertft_helpers.inference import TextClassifier
from bertft_helpers.losses import LossFn, balanced_weights, classification_loss, weighted_loss
from bertft_helpers.models import build_classifier
from bertft_helpers.optim import linear_warmup, parameter_groups
from bertft_helpers.own_texts import baselines
from bertft_helpers.own_texts.prepared import PARTS, Prepared, introduction, prepare, warnings_about
from bertft_helpers.own_texts.results import collect_results
from bertft_helpers.own_texts.settings import TaskSettings, claim, plan
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.pretrained import find_checkpoint, load_encoder, load_tokenizer
from bertft_helpers.reading import Reading
from bertft_helpers.resume.processes import AgreedStopping, Processes, require_equal, share_gradients, shared_loss
from bertft_helpers.resume.run import fit_resumable
from bertft_helpers.resume.states import states_in
from bertft_helpers.runtime import peak_memory_mb, reset_peak_memory
from bertft_helpers.speed.vocabulary import compact_vocabulary, restore_vocabulary
from bertft_helpers.training import EarlyStopping, steps_per_run

Say = Callable[[str], None]
OnStep = Callable[[int, int], None]  # (batches done, batches planned) in this call


@dataclasses.dataclass(frozen=True)
class TaskRecord:
    """A finished run: what went in, the model, its history and predictions, the baselines, scores and costs."""

    settings: TaskSettings
    max_length: int
    prepared: Prepared
    model: BertForSequenceClassification
    history: History
    predictions: dict[str, Predictions]
    baselines: list[baselines.Baseline]
    results: dict[str, Any]


def run_task(
    settings: TaskSettings, out: Path, processes: Processes, say: Say = print, on_step: OnStep | None = None
) -> TaskRecord | None:
    """Train and test once; call it again with the same folder after any interruption and it goes on.

    ``out`` gets ``run.json`` and ``training``; ``finish`` adds the model and the results. Returns None in all processes
    but the first. Raises ValueError for texts that cannot be learned from and for a folder that holds another run,
    FileNotFoundError, and what the training loop raises.
    """
    prepared, max_length, reading = _get_ready(settings, out, processes)
    notes = warnings_about(prepared, max_length, settings.policy, settings.class_weights)
    _introduce(prepared, reading, notes, say)
    reset_peak_memory()
    clock, processor = time.perf_counter(), time.process_time()
    model, history, config, best_epoch = train(prepared, settings, out / "training", processes, say, on_step)
    costs = {
        "training_seconds": round(time.perf_counter() - clock, 1),
        "training_processor_seconds": round(time.process_time() - processor, 1),
        "peak_memory_mb": round(peak_memory_mb(processes.device)),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "processes": processes.count,
        "device": str(processes.device),
    }
    if not processes.is_first:
        return None
    say("testing once, and the baselines on the same texts")
    predictions = {part: predict(model, make_loader(prepared.examples[part], 64)) for part in PARTS[1:]}
    others = _baselines(prepared, settings.checkpoint, processes.device)
    run = {**dataclasses.asdict(settings), **dataclasses.asdict(config), **costs}
    run |= {"epochs_done": len(history.epochs), "best_epoch": best_epoch}
    results = collect_results(prepared, predictions, others, run, notes)
    return TaskRecord(settings, max_length, prepared, model, history, predictions, others, results)


def _get_ready(settings: TaskSettings, out: Path, processes: Processes) -> tuple[Prepared, int, Reading]:
    """The prepared texts, the length that they were cut to, how they were read; all checked before ``out`` is taken."""
    _require_bert(settings.checkpoint)
    dataset, reading = load_source(settings.source, settings.text_column, settings.label_column, settings.how)
    tokenizer = load_tokenizer(settings.checkpoint)
    max_length = min(settings.max_length, tokenizer.model_max_length)
    prepared = prepare(
        dataset, tokenizer, max_length, settings.policy, settings.seed, settings.validation, settings.test
    )
    plan(settings, len(prepared.examples["train"]), processes.device)  # refuses settings that cannot be
    require_equal("texts", prepared.digest, processes, "give all of them the same data")
    claim(out, settings, prepared.digest, processes.is_first)
    return prepared, max_length, reading


def _introduce(prepared: Prepared, reading: Reading, notes: list[str], say: Say) -> None:
    for line in [reading.summary(), introduction(prepared), *(f"note: {note}" for note in [*reading.notes, *notes])]:
        say(line)


def _require_bert(checkpoint: str) -> None:
    """Other architectures would load with most weights missing, and train badly without an error."""
    kind = json.loads((find_checkpoint(checkpoint) / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != "bert":
        raise UserError(f"the checkpoint {checkpoint!r} is of the type {kind!r}; BERT models ('bert') can be trained")


def train(
    prepared: Prepared,
    settings: TaskSettings,
    folder: Path,
    processes: Processes,
    say: Say = print,
    on_step: OnStep | None = None,
) -> tuple[BertForSequenceClassification, History, TrainConfig, int]:
    """The model with the weights of its best epoch, the history, the loop's settings and the best epoch's number."""
    examples = prepared.examples
    config, patience = plan(settings, len(examples["train"]), processes.device)
    model = build_classifier(settings.checkpoint, prepared.label_names, settings.seed).to(processes.device)
    loader = make_loader(examples["train"], config.batch_size, seed=config.seed)
    compact = compact_vocabulary(model, examples["train"].input_ids)
    optimizer = torch.optim.AdamW(parameter_groups(model, config.learning_rate, config.weight_decay), fused=True)
    compact.follow(optimizer)
    schedule = linear_warmup(optimizer, steps_per_run(loader, config), config.warmup_share)
    loss_fn, stopping = _loss(prepared, settings), EarlyStopping(patience, "validation_accuracy")
    if processes.count > 1:
        share_gradients(model)
        loss_fn, stopping = shared_loss(loss_fn, processes), AgreedStopping(patience, "validation_accuracy")
        names = [state.name for state in states_in(folder)]
        require_equal("saved states", names, processes, "--out must be a folder that all machines share")
    if on_step is not None:
        loss_fn = _counted(loss_fn, on_step, len(loader) * config.epochs)
    history = fit_resumable(
        *(model, loader, make_loader(examples["validation"], 64), optimizer, schedule, config, folder),
        *(loss_fn, stopping),
        on_epoch=lambda row: say(_epoch_line(row, config.epochs)),
        on_note=say,
        writes=processes.is_first,
    )
    restore_vocabulary(model)
    return model, history, config, stopping.best_epoch


def _loss(prepared: Prepared, settings: TaskSettings) -> LossFn:
    if not settings.class_weights:
        return classification_loss
    return weighted_loss(balanced_weights(prepared.examples["train"].labels, len(prepared.label_names)))


def _counted(loss_fn: LossFn, on_step: OnStep, planned: int) -> LossFn:
    done = [0]

    def counted(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        done[0] += 1
        on_step(done[0], planned)
        return loss_fn(model, batch)

    return counted


def _epoch_line(row: dict[str, float], epochs: int) -> str:
    return (
        f"epoch {row['epoch']} of at most {epochs}: training loss {row['train_loss']:.3f}, "
        f"validation loss {row['validation_loss']:.3f}, accuracy {row['validation_accuracy']:.3f}"
    )


def _baselines(prepared: Prepared, checkpoint: str, device: torch.device) -> list[baselines.Baseline]:
    texts = {part: list(prepared.parts[part]["text"]) for part in PARTS}
    labels = {part: prepared.examples[part].labels for part in PARTS}
    return [
        baselines.majority(labels["train"], len(labels["test"])),
        baselines.counted_words(texts, labels),
        baselines.frozen_features(load_encoder(checkpoint).to(device), prepared.examples),
    ]


def finish(record: TaskRecord, out: Path, report: str) -> None:
    """Write model, history, report and, last, ``results.json``; then the training states are not needed any more."""
    shutil.rmtree(out / "model", ignore_errors=True)  # of a call that was killed while it finished
    tokenizer = load_tokenizer(record.settings.checkpoint)
    scores = record.results["test"]
    facts = {
        "training texts": len(record.prepared.examples["train"]),
        "accuracy on test texts": f"{scores['accuracy']:.3f} ({scores['texts']} texts)",
        "macro F1 on test texts": f"{scores['macro_f1']:.3f}",
        "compared": record.results["verdict"],
        "texts longer than the limit": f"cut by the policy {record.settings.policy!r}; other tools keep the head",
    }
    classifier = TextClassifier(record.model.cpu(), tokenizer, record.max_length, policy=record.settings.policy)
    classifier.save(out / "model", facts)
    write_csv(record.history, out / "history")
    (out / "report.html").write_text(report, encoding="utf-8")
    write_json(out / "results.json", record.results)
    shutil.rmtree(out / "training", ignore_errors=True)
