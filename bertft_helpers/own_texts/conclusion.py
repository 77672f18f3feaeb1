"""How a run ends: the baselines, the choice of what is saved, one test, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertForSequenceClassification

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.evaluation import Predictions
from bertft_helpers.files import new_folder, write_json, write_text
from bertft_helpers.history import History, write_csv
from bertft_helpers.inference import TextClassifier
from bertft_helpers.mean_pooled import reason_against
from bertft_helpers.own_texts import baselines
from bertft_helpers.own_texts import folder as run_folder
from bertft_helpers.own_texts.abstaining import ANSWERS, answers_file, answers_of, wishes_met
from bertft_helpers.own_texts.calibration import choose_temperature, with_temperature
from bertft_helpers.own_texts.counted_words import CountedWords
from bertft_helpers.own_texts.familiarity import VECTORS, distances, familiar_file, familiar_from
from bertft_helpers.own_texts.folder import Say
from bertft_helpers.own_texts.prepared import PARTS, Prepared
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.report import report_page
from bertft_helpers.own_texts.results import collect_results
from bertft_helpers.own_texts.scores import scores_of
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.summary import summary_of, summary_page
from bertft_helpers.own_texts.winner import (
    ASKED,
    FINE_TUNED,
    Predicted,
    Winner,
    choose,
    classifier_of,
    kind_of,
    predict_parts,
)
from bertft_helpers.pretrained import load_encoder, load_tokenizer

__all__ = ["conclude", "refuse_unsavable"]


def conclude(
    settings: TaskSettings,
    out: Path,
    prepared: Prepared,
    max_length: int,
    model: BertForSequenceClassification,
    history: History,
    run: dict[str, Any],
    notes: Sequence[str],
    say: Say,
) -> TaskRecord:
    """Compare the trained ``model`` with the baselines, save what does better, test it once, write the report.

    ``run`` holds what is to be told of the training.
    """
    fine_tuned = TextClassifier(model, load_tokenizer(settings.checkpoint), max_length, policy=settings.policy)
    tuned = predict_parts(fine_tuned, prepared)
    say("training is done; now the baselines on the same texts")
    others = _baselines(prepared, settings.checkpoint, model.device, run["precision"])
    winner = choose(tuned.predictions["validation"], [one for one in others if _is_savable(one, model)], settings.keep)
    kept: TextClassifier | CountedWords = fine_tuned
    predicted = tuned
    if winner.name != FINE_TUNED:
        if winner.name == baselines.FROZEN and run["precision"] != "float32":
            others[-1] = _frozen(prepared, settings.checkpoint, model.device, "float32")  # in which it will be used
        chosen = next(one for one in others if one.name == winner.name)
        kept = classifier_of(chosen, prepared, settings, max_length, model.device)
        predicted = predict_parts(kept, prepared)
    predictions = predicted.predictions
    kept.temperature = choose_temperature(predictions["validation"])
    run_folder.require_held(out)
    sure = answers_of(with_temperature(predictions["validation"], kept.temperature))
    vectors, flagged = _unfamiliar(predicted)
    beside = {ANSWERS: answers_file(sure), **vectors}
    _save_model(out, kept, winner, prepared, settings.policy, predictions["test"], beside)
    say("the model is saved and was tested once")
    run = {**run, "texts_per_second": predicted.texts_per_second, "megabytes": run_folder.megabytes_of_model(out)}
    results = collect_results(prepared, winner, predictions, tuned.predictions, others, kept.temperature, run, notes)
    results |= {"wishes": wishes_met(sure, with_temperature(predictions["test"], kept.temperature))}
    results |= {"unfamiliar_test_texts": flagged}
    record = TaskRecord(settings, max_length, prepared, model, history, predictions, others, results)
    _finish(record, out, say)
    return record


def _unfamiliar(predicted: Predicted) -> tuple[dict[str, bytes], float | None]:
    """The file by which texts are told from those that the model knows, and the share of the test texts that it flags.

    Counted words have none.
    """
    if not predicted.vectors:
        return {}, None
    familiar = familiar_from(predicted.vectors["validation"])
    far = distances(predicted.vectors["test"], familiar) > familiar.limit
    return {VECTORS: familiar_file(familiar)}, float(far.mean())


def refuse_unsavable(settings: TaskSettings, model: BertForSequenceClassification) -> None:
    """Raise UserError when the settings ask for a frozen encoder that no folder can hold."""
    if ASKED[settings.keep] == baselines.FROZEN and (reason := reason_against(model.config)):
        raise UserError(f"--keep {settings.keep} cannot be done with {settings.checkpoint}: {reason}")


def _is_savable(baseline: baselines.Baseline, model: BertForSequenceClassification) -> bool:
    return baseline.head is not None and not (baseline.name == baselines.FROZEN and reason_against(model.config))


def _baselines(prepared: Prepared, checkpoint: str, device: torch.device, precision: str) -> list[baselines.Baseline]:
    texts = {part: list(prepared.parts[part]["text"]) for part in PARTS}
    labels = {part: prepared.examples[part].labels for part in PARTS}
    return [
        baselines.majority(labels["train"], len(labels["test"])),
        baselines.counted_words(texts, labels),
        _frozen(prepared, checkpoint, device, precision),
    ]


def _frozen(prepared: Prepared, checkpoint: str, device: torch.device, precision: str) -> baselines.Baseline:
    encoder = load_encoder(checkpoint).to(device)  # type: ignore[arg-type]  # transformers hides that it is a method
    return baselines.frozen_features(encoder, prepared.examples, precision)


def _save_model(
    out: Path,
    kept: TextClassifier | CountedWords,
    winner: Winner,
    prepared: Prepared,
    policy: str,
    test: Predictions,
    beside: Mapping[str, bytes],
) -> None:
    """Save the model; one that a call before this has saved is the same, and stays."""
    folder = out / run_folder.MODEL
    if folder.exists():
        if missing := run_folder.missing_from_model(out):
            raise RunError(f"{folder} lacks {' and '.join(missing)}: move it away and call again")
        if (there := kind_of(folder)) != winner.name:  # saved on another machine, where a close call went otherwise
            raise RunError(f"{folder} holds {there}, but here {winner.name} is chosen: move it away and call again")
        return
    scores = scores_of(test.labels, test.classes, prepared.label_names)
    facts = {
        "method": winner.name,
        "training texts": len(prepared.examples["train"]),
        "accuracy on test texts": f"{scores['accuracy']:.3f} ({scores['texts']} texts)",
        "macro F1 on test texts": f"{scores['macro_f1']:.3f}",
    }
    if kept.max_length is not None:
        facts["texts longer than the limit"] = f"cut by the policy {policy!r}; other tools keep the head"
    kept.save(folder, facts, beside)


def _finish(record: TaskRecord, out: Path, say: Say) -> None:
    """Write history, report, summary and, last, ``results.json``; then the training states are not needed any more."""
    if not (out / "history").exists():
        with new_folder(out / "history") as draft:
            write_csv(record.history, draft)
    write_text(out / "report.html", report_page(record))
    write_text(out / "summary.html", summary_page(summary_of(record.results)))
    write_json(out / "results.json", record.results)
    run_folder.clear_training(out / run_folder.TRAINING, say)
