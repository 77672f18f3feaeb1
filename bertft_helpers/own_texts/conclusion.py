"""How a run ends: the baselines, the choice of what is saved, one test, the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import BertForSequenceClassification

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.files import new_folder, remove_folder, write_json, write_text
from bertft_helpers.history import History, write_csv
from bertft_helpers.inference import TextClassifier
from bertft_helpers.mean_pooled import reason_against
from bertft_helpers.own_texts import baselines
from bertft_helpers.own_texts import folder as run_folder
from bertft_helpers.own_texts.abstaining import ANSWERS, Answers, answers_file, answers_of, wishes_met
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
    """Save the trained ``model``, compare it with the baselines, keep what does better, write the report.

    ``run`` holds what is to be told of the training.
    """
    fine_tuned = TextClassifier(model, load_tokenizer(settings.checkpoint), max_length, policy=settings.policy)
    tuned = _tried(FINE_TUNED, fine_tuned, prepared)
    run_folder.require_held(out)
    if ASKED[settings.keep] in (None, FINE_TUNED):
        _save_first(out, tuned, prepared, say)
    say("now the baselines on the same texts")
    others = _baselines(prepared, settings.checkpoint, model.device, run["precision"])
    savable = [one for one in others if _is_savable(one, model)]
    winner = choose(tuned.predicted.predictions["validation"], savable, settings.keep)
    kept = tuned
    if winner.name != FINE_TUNED:
        if winner.name == baselines.FROZEN and run["precision"] != "float32":
            others[-1] = _frozen(prepared, settings.checkpoint, model.device, "float32")  # in which it will be used
        chosen = next(one for one in others if one.name == winner.name)
        classifier = classifier_of(chosen, prepared, settings, max_length, model.device)
        kept = _tried(winner.name, classifier, prepared)
    run_folder.require_held(out)
    _save_model(out, kept, prepared)
    say(f"the model that stays is {kept.name}; it was tested once")
    predictions, temperature = kept.predicted.predictions, kept.classifier.temperature
    run |= {"texts_per_second": kept.predicted.texts_per_second, "megabytes": run_folder.megabytes_of_model(out)}
    results = collect_results(
        prepared, winner, predictions, tuned.predicted.predictions, others, temperature, run, notes
    )
    results |= {"wishes": wishes_met(kept.sure, with_temperature(predictions["test"], temperature))}
    results |= {"unfamiliar_test_texts": kept.flagged}
    record = TaskRecord(settings, max_length, prepared, model, history, predictions, others, results)
    _finish(record, out, say)
    return record


class _Tried(NamedTuple):
    """A method that can be saved: its classifier with the temperature, what it predicts, and the files beside it.

    ``sure`` is how sure it is of the validation texts, ``flagged`` the share of test texts that it does not know.
    """

    name: str
    classifier: TextClassifier | CountedWords
    predicted: Predicted
    sure: Answers
    flagged: float | None
    beside: dict[str, bytes]


def _tried(name: str, classifier: TextClassifier | CountedWords, prepared: Prepared) -> _Tried:
    predicted = predict_parts(classifier, prepared)
    validation = predicted.predictions["validation"]
    classifier.temperature = choose_temperature(validation)
    sure = answers_of(with_temperature(validation, classifier.temperature))
    vectors, flagged = _unfamiliar(predicted)
    return _Tried(name, classifier, predicted, sure, flagged, {ANSWERS: answers_file(sure), **vectors})


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


def _save_first(out: Path, tuned: _Tried, prepared: Prepared, say: Say) -> None:
    """Save the fine-tuned model before the baselines: one that is killed, for want of memory, must not cost the run."""
    if not (out / run_folder.MODEL).exists():
        _save(out, tuned, prepared)
        say("the fine-tuned model is saved")


def _save_model(out: Path, kept: _Tried, prepared: Prepared) -> None:
    """Let the run's model be ``kept``: one that a call before this has saved stays, but for a fine-tuned one."""
    folder = out / run_folder.MODEL
    if folder.exists():
        if missing := run_folder.missing_from_model(out):
            raise RunError(f"{folder} lacks {' and '.join(missing)}: move it away and call again")
        there = kind_of(folder)
        if there == kept.name:
            return
        if there != FINE_TUNED:  # saved on another machine, where a close call went otherwise
            raise RunError(f"{folder} holds {there}, but here {kept.name} is chosen: move it away and call again")
        remove_folder(folder)
    _save(out, kept, prepared)


def _save(out: Path, kept: _Tried, prepared: Prepared) -> None:
    test = kept.predicted.predictions["test"]
    scores = scores_of(test.labels, test.classes, prepared.label_names)
    facts = {
        "method": kept.name,
        "training texts": len(prepared.examples["train"]),
        "accuracy on test texts": f"{scores['accuracy']:.3f} ({scores['texts']} texts)",
        "macro F1 on test texts": f"{scores['macro_f1']:.3f}",
    }
    if isinstance(kept.classifier, TextClassifier):
        facts["texts longer than the limit"] = (
            f"cut by the policy {kept.classifier.policy!r}; other tools keep the head"
        )
    kept.classifier.save(out / run_folder.MODEL, facts, kept.beside)


def _finish(record: TaskRecord, out: Path, say: Say) -> None:
    """Write history, report, summary and, last, ``results.json``; then the training states are not needed any more."""
    if not (out / "history").exists():
        with new_folder(out / "history") as draft:
            write_csv(record.history, draft)
    write_text(out / "report.html", report_page(record))
    write_text(out / "summary.html", summary_page(summary_of(record.results)))
    write_json(out / "results.json", record.results)
    run_folder.clear_training(out / run_folder.TRAINING, say)
