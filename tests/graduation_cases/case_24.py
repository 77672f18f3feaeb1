"""Lesson 24: batches by tokens, answers in order, a classifier that is saved and loaded."""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from graduation import Case, Functions
from minimal import tiny_classifier
from transformers import BertForSequenceClassification, PreTrainedTokenizerBase

from bertft_helpers.model_files.manifest import MANIFEST
from bertft_helpers.pretrained import load_tokenizer

LENGTHS = [5, 90, 3, 7, 7, 20, 4, 21, 10]
TEXTS = ["a bank", "the river rose and the boats went out to sea " * 3, "x", "tax cuts announced", "late goal wins cup"]
NAMES = {0: "ham", 1: "news", 2: "spam"}
tokenizer = functools.cache(load_tokenizer)


def model() -> BertForSequenceClassification:
    sizes = {"vocab_size": len(tokenizer()), "max_position_embeddings": 64, "initializer_range": 0.5}
    return tiny_classifier(**sizes, id2label=NAMES, label2id={name: number for number, name in NAMES.items()})


def fresh_tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer()  # saving may change where it cuts


def batched(functions: Functions) -> Any:
    return [functions["batches_within"](LENGTHS, budget) for budget in (1, 21, 40, 1000)] + [
        functions["batches_within"]([], 10)
    ]


def logits(functions: Functions) -> Any:
    classifier = model().train()
    found = [functions["text_logits"](classifier, tokenizer(), TEXTS, length, 40) for length in (8, 64)]
    return found, classifier.training, torch.get_rng_state()


def saved_and_loaded(functions: Functions) -> Any:
    made = functions["TextClassifier"](model().eval(), fresh_tokenizer(), token_budget=40)
    cut = functions["TextClassifier"](model().eval(), fresh_tokenizer(), max_length=8, token_budget=40)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "saved")
        cut.save(folder, {"limits": "none known"})
        loaded = functions["TextClassifier"].load(folder, token_budget=40)
        names = json.loads((folder / "config.json").read_text())["id2label"]
        card = (folder / "README.md").read_text()
        files = sorted({file.name for file in folder.iterdir()} - {MANIFEST})  # only the package writes one
    answers = [classifier.predict(TEXTS) for classifier in (made, cut, loaded)]
    return answers, made.max_length, loaded.max_length, loaded.label_names, names, card, files


CASES = [
    Case(
        "inference.batches_within",
        batched,
        {
            "in the order of arrival": ("key=lengths.__getitem__", "key=lambda row: row"),
            "the budget counts the row before": ("(len(rows) + 1)", "len(rows)"),
            "the last batch is lost": ("[*batches, rows] if rows else batches", "batches"),
            "an empty batch for nothing": ("[*batches, rows] if rows else batches", "[*batches, rows]"),
        },
    ),
    Case(
        "inference.text_logits",
        logits,
        {
            "in the order of the batches": ("logits[rows] =", "logits[sorted(rows)] ="),
            "texts are not cut": ("truncate(ids, max_length)", "truncate(ids, 64)"),
            "the budget is ignored": ("for ids in encoded], token_budget)", "for ids in encoded], 10**6)"),
        },
    ),
    Case(
        "inference.TextClassifier",
        saved_and_loaded,
        {
            "the least probable label": ("max(row, key=row.get)", "min(row, key=row.get)"),
            "the length is not saved": ("self.tokenizer.model_max_length = self.max_length", "pass"),
            "the default length is any": ("max_length or min(", "max_length or max("),
            "the facts are lost": ("facts or {}", "{}"),
            "no tokenizer": ("self.tokenizer.save_pretrained(folder)", "pass"),
        },
    ),
]
