"""How a run ends: the baselines, the choice of what is saved, one test, the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import BertForSequenceClassification

from bertft_helpers.errors import UserError
from bertft_helpers.history import History
from bertft_helpers.inference import TextClassifier
from bertft_helpers.mean_pooled import reason_against
from bertft_helpers.own_texts import baselines
from bertft_helpers.own_texts import folder as run_folder
from bertft_helpers.own_texts.abstaining import ANSWERS, Answers, answers_file, answers_of, wishes_met
from bertft_helpers.own_texts.calibration import choose_temperature, with_temperature
from bertft_helpers.own_texts.counted_words import CountedWords
from bertft_helpers.own_texts.cut_instead import cut_instead
from bertft_helpers.own_texts.deletion import explained_test_texts
from bertft_helpers.own_texts.familiarity import VECTORS, distances, familiar_file, familiar_from
from bertft_helpers.own_texts.folder import Say
from bertft_helpers.own_texts.keeping import facts_of_cut, finish, save_first, save_kept
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
    predict_parts,
    text_classifier,
)
from bertft_helpers.pretrained import load_encoder

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
    fine_tuned = text_classifier(model, prepared, settings, max_length)
    tuned = _tried(FINE_TUNED, fine_tuned, prepared)
    run_folder.require_held(out)
    if ASKED[settings.keep] in (None, FINE_TUNED):
        save_first(out, tuned, say)
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
    save_kept(out, kept)
    say(f"the model that stays is {kept.name}; it was tested once")
    predictions, temperature = kept.predicted.predictions, kept.classifier.temperature
    run |= {"texts_per_second": kept.predicted.texts_per_second, "megabytes": run_folder.megabytes_of_model(out)}
    results = collect_results(
        prepared, winner, predictions, tuned.predicted.predictions, others, temperature, run, notes
    )
    results |= {"wishes": wishes_met(kept.sure, with_temperature(predictions["test"], temperature))}
    cut = cut_instead(kept.classifier, prepared, predictions["validation"])
    results |= {"unfamiliar_test_texts": kept.flagged, "cut_instead": cut and {**cut._asdict(), "told": cut.told()}}
    results |= {"explained": explained_test_texts(kept.classifier, prepared, predictions["test"].classes)}
    record = TaskRecord(settings, max_length, prepared, model, history, predictions, others, results)
    pages = {"report.html": report_page(record), "summary.html": summary_page(summary_of(results))}
    finish(record, out, pages, say)
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
    label_names: list[str]
    training_texts: int

    def save(self, folder: Path) -> None:
        """Write the model with what its card says of it."""
        test = self.predicted.predictions["test"]
        scores = scores_of(test.labels, test.classes, self.label_names)
        facts = {
            "method": self.name,
            "training texts": self.training_texts,
            "accuracy on test texts": f"{scores['accuracy']:.3f} ({scores['texts']} texts)",
            "macro F1 on test texts": f"{scores['macro_f1']:.3f}",
        }
        self.classifier.save(folder, facts | facts_of_cut(self.classifier), self.beside)


def _tried(name: str, classifier: TextClassifier | CountedWords, prepared: Prepared) -> _Tried:
    predicted = predict_parts(classifier, prepared)
    validation = predicted.predictions["validation"]
    classifier.temperature = choose_temperature(validation)
    sure = answers_of(with_temperature(validation, classifier.temperature))
    vectors, flagged = _unfamiliar(predicted)
    beside = {ANSWERS: answers_file(sure), **vectors}
    training_texts = len(prepared.examples["train"])
    return _Tried(name, classifier, predicted, sure, flagged, beside, prepared.label_names, training_texts)


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
    return baselines.frozen_features(encoder, prepared.examples, precision, prepared.windows)
