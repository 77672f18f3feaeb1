"""How a run with several labels ends: the baselines, thresholds, the choice of what is saved, one test, the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import BertForSequenceClassification

from bertft_helpers.batching import make_loader
from bertft_helpers.evaluation import Predictions, predict
from bertft_helpers.first_token import first_token_only
from bertft_helpers.history import History
from bertft_helpers.inference import TextClassifier
from bertft_helpers.mean_pooled import reason_against
from bertft_helpers.own_texts import folder as run_folder
from bertft_helpers.own_texts.baselines import FROZEN
from bertft_helpers.own_texts.counted_words import CountedWords
from bertft_helpers.own_texts.folder import Say
from bertft_helpers.own_texts.keeping import facts_of_cut, finish, save_first, save_kept
from bertft_helpers.own_texts.prepared import PARTS, Prepared
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.several.baselines import (
    Method,
    counted_words,
    frozen_features,
    most_frequent_set,
    tuned,
)
from bertft_helpers.own_texts.several.classifier import SeveralLabels
from bertft_helpers.own_texts.several.explaining import explained_test_labels
from bertft_helpers.own_texts.several.prepared import targets_of
from bertft_helpers.own_texts.several.report import several_page
from bertft_helpers.own_texts.several.results import collect_several
from bertft_helpers.own_texts.several.scores import calibration_of_labels
from bertft_helpers.own_texts.several.summary import several_summary
from bertft_helpers.own_texts.several.winner import choose_method
from bertft_helpers.own_texts.winner import ASKED, FINE_TUNED, classifier_of, text_classifier
from bertft_helpers.pretrained import load_encoder
from bertft_helpers.several_labels import f1_scores

__all__ = ["conclude_several"]


def conclude_several(
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
    """What ``conclusion.conclude`` does, for several labels."""
    ours = _tried(FINE_TUNED, "fine-tuning", text_classifier(model, prepared, settings, max_length), prepared)
    run_folder.require_held(out)
    if ASKED[settings.keep] in (None, FINE_TUNED):
        save_first(out, ours, say)
    say("now the baselines on the same texts")
    others = _baselines(prepared, settings.checkpoint, model.device, run["precision"])
    savable = [one for one in others if one.head and not (one.name == FROZEN and reason_against(model.config))]
    winner = choose_method(targets_of(prepared, "validation"), ours.method, savable, settings.keep)
    kept = ours
    if winner.name != FINE_TUNED:
        if winner.name == FROZEN and run["precision"] != "float32":
            others[-1] = _frozen(prepared, settings.checkpoint, model.device, "float32")  # in which it will be used
        chosen = next(one for one in others if one.name == winner.name)
        scorer = classifier_of(chosen, prepared, settings, max_length, model.device)
        if isinstance(scorer, TextClassifier):
            scorer.model.config.problem_type = "multi_label_classification"
        kept = _tried(winner.name, chosen.description, scorer, prepared)
    run_folder.require_held(out)
    save_kept(out, kept)
    say(f"the model that stays is {kept.name}; it was tested once")
    run |= {"texts_per_second": kept.texts_per_second, "megabytes": run_folder.megabytes_of_model(out)}
    results = collect_several(prepared, winner, kept.method, ours.method, others, run, notes)
    logits, said = kept.predictions["test"].logits, kept.method.answers["test"]
    honesty = calibration_of_labels(targets_of(prepared, "test"), logits, prepared.label_names)
    results |= {"calibration": honesty, "explained": explained_test_labels(kept.scorer, prepared, said)}
    record = TaskRecord(settings, max_length, prepared, model, history, kept.predictions, others, results)
    finish(record, out, {"report.html": several_page(record), "summary.html": several_summary(results)}, say)
    return record


class _Tried(NamedTuple):
    """A method that can be saved: its classifier, what it predicts, and how many texts a second that was."""

    name: str
    method: Method
    scorer: TextClassifier | CountedWords
    predictions: dict[str, Predictions]
    texts_per_second: float
    training_texts: int

    def save(self, folder: Path) -> None:
        """Write the model with its thresholds and what its card says of it."""
        test = self.predictions["test"].labels.astype(bool)
        scores = f1_scores(test, self.method.answers["test"])
        facts = {
            "method": self.name,
            "training texts": self.training_texts,
            "micro F1 on test texts": f"{scores.micro:.3f} ({len(test)} texts)",
            "macro F1 on test texts": f"{scores.macro:.3f}",
        }
        assert self.method.thresholds is not None  # it was tried by its probabilities
        SeveralLabels(self.scorer, self.method.thresholds).save(folder, facts | facts_of_cut(self.scorer))


def _tried(name: str, description: str, scorer: TextClassifier | CountedWords, prepared: Prepared) -> _Tried:
    start = time.perf_counter()
    found = {part: _predict(scorer, prepared, part) for part in PARTS[1:]}
    rate = sum(len(own.labels) for own in found.values()) / max(time.perf_counter() - start, 1e-6)
    logits = {part: own.logits for part, own in found.items()}
    method = tuned(name, description, logits, targets_of(prepared, "validation"))
    return _Tried(name, method, scorer, found, round(rate, 1), len(prepared.examples["train"]))


def _predict(scorer: TextClassifier | CountedWords, prepared: Prepared, part: str) -> Predictions:
    if isinstance(scorer, CountedWords):
        return Predictions(scorer.logits(list(prepared.parts[part]["text"])), targets_of(prepared, part))
    examples, windows, model = prepared.examples[part], prepared.windows, scorer.model
    reader, count = (model, 64) if windows is None else (windows.over(model, 16, examples.pad_id), 16)
    with first_token_only(model):
        return predict(reader, make_loader(examples, count))


def _baselines(prepared: Prepared, checkpoint: str, device: torch.device, precision: str) -> list[Method]:
    texts = {part: list(prepared.parts[part]["text"]) for part in PARTS}
    labels = {part: targets_of(prepared, part) for part in PARTS}
    return [
        most_frequent_set(labels),
        counted_words(texts, labels),
        _frozen(prepared, checkpoint, device, precision),
    ]


def _frozen(prepared: Prepared, checkpoint: str, device: torch.device, precision: str) -> Method:
    encoder = load_encoder(checkpoint).to(device)  # type: ignore[arg-type]  # transformers hides that it is a method
    labels = {part: targets_of(prepared, part) for part in PARTS}
    return frozen_features(encoder, prepared.examples, labels, precision, prepared.windows)
