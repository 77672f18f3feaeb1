"""Small labelled texts and a small checkpoint, for the tests of runs on texts of one's own."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from minimal import tiny_config
from transformers import BertModel

from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.run import run_task, train_classifier
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.resume.processes import Processes
from bertft_helpers.resume.run import OnStep

WORDS = {
    "fruit": ("apple", "pear", "plum", "cherry", "melon", "fig"),
    "tools": ("hammer", "saw", "drill", "wrench", "file", "pliers"),
    "birds": ("owl", "wren", "gull", "heron", "finch", "swan"),
}
Rows = list[tuple[str, str]]


def labelled_rows(per_class: int = 12) -> Rows:
    """Different texts whose class follows from their words."""
    return [
        (f"{words[n % 6]} and {words[(n // 6 + n + 1) % 6]} number {n}", label)
        for label, words in WORDS.items()
        for n in range(per_class)
    ]


def write_csv(path: Path, rows: Iterable[tuple[str, str]], columns: tuple[str, str] = ("words", "kind")) -> Path:
    """A CSV file with the two columns."""
    with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def tiny_checkpoint(folder: Path) -> Path:
    """An untrained BERT of two layers with the bundled tokenizer, as a folder in transformers' format."""
    torch.manual_seed(0)
    tokenizer = load_tokenizer()
    config = tiny_config(vocab_size=len(tokenizer), max_position_embeddings=64, num_labels=2, initializer_range=0.3)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def finished_run(folder: Path) -> Path:
    """Write texts, a checkpoint and, in ``run``, a finished run into ``folder``, and return it."""
    tiny_checkpoint(folder / "checkpoint")
    write_csv(folder / "texts.csv", labelled_rows(6))
    train_classifier(**small_run(folder, folder / "run"))
    return folder


def small_run(given: Path, out: Path, **changes: object) -> dict[str, Any]:
    """What ``train_classifier`` is asked for: two epochs of two steps on what ``finished_run`` has written."""
    columns = {"text_column": "words", "label_column": "kind"}
    how = {"checkpoint": str(given / "checkpoint"), "epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "exact": True}
    return {"source": given / "texts.csv", "out": out, **columns, **how, "device": "cpu", **changes}


def settings_for(data: Path, checkpoint: Path, **changes: object) -> TaskSettings:
    """Two epochs on the columns of ``write_csv``."""
    fixed = {"text_column": "words", "label_column": "kind", "epochs": 2, "learning_rate": 1e-2, "batch_size": 8}
    return TaskSettings(str(data), **{**fixed, "checkpoint": str(checkpoint), **changes})


def run(settings: TaskSettings, out: Path, on_step: OnStep | None = None, said: list[str] | None = None) -> TaskRecord:
    """``run_task`` in this process alone."""
    said = [] if said is None else said
    return run_task(settings, out, Processes(), said.append, on_step)
