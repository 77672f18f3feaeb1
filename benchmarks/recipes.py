"""Ways to train a text classifier that ``benchmarks.peers`` compares, each given the same texts to learn and to answer.

None of them downloads anything; all run on the CPU, where seconds of processor time can be counted.
"""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from datasets import Dataset
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from transformers import (
    PrinterCallback,
    Trainer,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

from benchmarks.pairs import Row, Stopwatch
from bertft_helpers.errors import RunError
from bertft_helpers.metrics import accuracy, macro_f1
from bertft_helpers.models import build_classifier
from bertft_helpers.own_texts.baselines import fit_counter
from bertft_helpers.own_texts.prepared import PARTS, Prepared
from bertft_helpers.own_texts.run import run_task
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.pretrained import find_checkpoint, load_tokenizer
from bertft_helpers.resume.processes import Processes
from bertft_helpers.runtime import quiet_libraries

if TYPE_CHECKING:
    from setfit import Trainer as SetFitTrainer

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)  # C of the SVM, the inverse of regularisation
PADDED_TO = 128  # tokens: max_seq_length of run_classification.py, to which it pads every text
PAIRS_A_TEXT = 40  # SetFit: 20 of equal and 20 of different labels, as in its paper (Tunstall et al. 2022)
STEPS_TIMED = 10  # of SetFit, before it is known how many fit into the time


class Division(NamedTuple):
    """The texts and the numbers of their classes, by part, and the classes' names."""

    texts: Mapping[str, list[str]]
    labels: Mapping[str, list[int]]
    label_names: list[str]


def division_of(prepared: Prepared) -> Division:
    """The texts as ``bertft train`` has cleaned and divided them."""
    columns = ({part: list(prepared.parts[part][name]) for part in PARTS} for name in ("text", "label"))
    return Division(*columns, prepared.label_names)


def bertft_train(settings: TaskSettings, given: Division) -> list[Row]:
    """What ``bertft train`` saves, and the fine-tuned model, which may have lost to a baseline.

    It reads and divides by itself. Raises RunError when that gives other texts than the peers have.
    """
    with tempfile.TemporaryDirectory() as folder:
        record = run_task(settings, Path(folder, "run"), Processes(), say=lambda _: None)
    assert record is not None  # this process is the first
    if division_of(record.prepared) != given:
        raise RunError(f"{settings.source} has changed while it was compared: bertft train read other texts")
    saved = record.results["saved"]["name"]
    scores = {OURS: record.results["test"], TUNED: record.results["fine_tuned"]}
    return [
        {"method": method, "accuracy": own["accuracy"], "macro_f1": own["macro_f1"], "saved": saved}
        for method, own in scores.items()
    ]


def script(settings: TaskSettings, given: Division) -> list[Row]:
    """What transformers' run_classification.py does when nothing but the texts and the checkpoint is named.

    Every text padded or cut to 128 tokens, and the Trainer's own defaults: 3 epochs, batches of 8, a rate of 5e-5 that
    falls linearly to 0 without a warm-up, no weight decay; the weights of the last step stay.
    """
    tokenizer = load_tokenizer(settings.checkpoint)
    length = min(PADDED_TO, tokenizer.model_max_length)
    tables = {
        part: Dataset.from_dict(
            {
                **tokenizer(given.texts[part], padding="max_length", truncation=True, max_length=length),
                "label": given.labels[part],
            }
        )
        for part in ("train", "test")
    }
    model = build_classifier(settings.checkpoint, given.label_names, settings.seed)
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out, seed=settings.seed, use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True
        )
        trainer = Trainer(model, arguments, data_collator=default_data_collator, train_dataset=tables["train"])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        logits = trainer.predict(tables["test"]).predictions  # [texts, classes]
    return [_scored(SCRIPT, given, np.argmax(logits, axis=1))]


def linear_svm(settings: TaskSettings, given: Division) -> list[Row]:
    """A linear SVM on TF-IDF of words and pairs of words; C is what does best on the validation texts."""
    counter = fit_counter(given.texts["train"])
    counted = {part: counter.transform(given.texts[part]) for part in PARTS}
    fitted = [
        LinearSVC(C=strength, random_state=settings.seed % 2**32).fit(counted["train"], given.labels["train"])
        for strength in STRENGTHS
    ]
    best = max(fitted, key=lambda svm: svm.score(counted["validation"], given.labels["validation"]))  # a tie: lower C
    return [_scored(SVM, given, best.predict(counted["test"]))]


def setfit(settings: TaskSettings, given: Division, seconds: float = math.inf) -> list[Row]:
    """SetFit at its defaults (one epoch of pairs, then a logistic regression), but for 40 pairs a text and not all.

    Of these it learns from as many as ``seconds`` of processor time allow, a few steps that are timed first included;
    ``pairs`` of the row is their share.
    """
    watch = Stopwatch("processor")
    with tempfile.TemporaryDirectory() as out:
        tried = _setfit_trainer(settings, given, STEPS_TIMED, out)
        started = watch.seconds
        tried.train_embeddings(given.texts["train"], given.labels["train"])
        a_step = (watch.seconds - started) / STEPS_TIMED
        wished = math.ceil(PAIRS_A_TEXT * len(given.texts["train"]) / tried.args.embedding_batch_size)
        steps = max(1, int(min(wished, (seconds - watch.seconds) / a_step)))
        trainer = _setfit_trainer(settings, given, steps, out)
        trainer.train()
    answers = np.asarray(trainer.model.predict(given.texts["test"], as_numpy=True))
    return [{**_scored(SETFIT, given, answers), "pairs": steps / wished}]


def _setfit_trainer(settings: TaskSettings, given: Division, steps: int, out: str) -> SetFitTrainer:
    from sentence_transformers import SentenceTransformer
    from setfit import SetFitModel, Trainer, TrainingArguments

    set_seed(settings.seed)
    body = SentenceTransformer(str(find_checkpoint(settings.checkpoint)), device="cpu")
    body.max_seq_length = min(body.max_seq_length or settings.max_length, settings.max_length)
    arguments = TrainingArguments(
        out,
        num_iterations=PAIRS_A_TEXT // 2,
        max_steps=steps,
        seed=settings.seed,
        save_strategy="no",
        report_to="none",
        show_progress_bar=False,
    )
    table = Dataset.from_dict({"text": given.texts["train"], "label": given.labels["train"]})
    return Trainer(SetFitModel(model_body=body, model_head=LogisticRegression()), arguments, train_dataset=table)


def measure(recipe: Recipe, settings: TaskSettings, given: Division) -> list[Row]:
    """The rows of a recipe, with its seed and the seconds of processor time that learning and answering took."""
    quiet_libraries()
    watch = Stopwatch("processor")
    with contextlib.redirect_stdout(sys.stderr):  # SetFit prints its losses; the table stands alone
        rows = recipe(settings, given)
    seconds = watch.seconds
    return [{**row, "seed": settings.seed, "seconds": seconds} for row in rows]


def _scored(method: str, given: Division, answers: Sequence[int] | np.ndarray) -> Row:
    labels = given.labels["test"]
    scores = {"accuracy": accuracy(labels, answers), "macro_f1": macro_f1(labels, answers, len(given.label_names))}
    return {"method": method, **scores}


OURS, TUNED = "bertft train", "bertft train, its fine-tuned model"
SCRIPT, SVM, SETFIT = "run_classification.py at its defaults", "TF-IDF and a linear SVM", "SetFit"
Recipe = Callable[[TaskSettings, Division], list[Row]]
RECIPES: dict[str, Recipe] = {OURS: bertft_train, SCRIPT: script, SVM: linear_svm, SETFIT: setfit}
