"""Lesson A2: labels on first pieces, spans and their scores, the best path that BIO allows."""

import itertools
from typing import Any

import torch
from graduation import Case, Functions
from minimal import tiny_config
from transformers import BertForTokenClassification

from bertft_helpers.pretrained import load_tokenizer

NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
OF_PIECE = [None, 0, 1, 1, 2, 3, 3, 3, None]
SEQUENCES = [*itertools.product([*NAMES, None], repeat=3)]
SENTENCES = [["shares", "in", "domecq", "rose"], ["sony"], ["allied", "domecq"]]


def scored(functions: Functions) -> Any:
    spans = [functions["spans_of"](tags) for tags in SEQUENCES]
    return [functions["span_scores"](left, right) for left, right in ((spans, spans[7:] + spans[:7]), ([[]], [[]]))]


def followed(functions: Functions) -> Any:
    return [functions["may_follow"](before, tag) for before in NAMES for tag in NAMES]


def best(functions: Functions) -> Any:
    scores = torch.randn(30, 6, 5, generator=torch.Generator().manual_seed(0))
    return [functions["best_path"](own, NAMES) for own in (*scores, scores[0, :1])]


def read(functions: Functions) -> Any:
    torch.manual_seed(0)
    model = BertForTokenClassification(tiny_config(vocab_size=30_522)).train()
    return functions["word_scores"](model, load_tokenizer("bundled"), SENTENCES), model.training


CASES = [
    Case(
        "tagging.first_pieces",
        lambda f: f["first_pieces"](OF_PIECE),
        {"the last piece": ("places.setdefault(word, place)", "places[word] = place")},
    ),
    Case(
        "tagging.label_pieces",
        lambda f: f["label_pieces"](OF_PIECE, ["O", "B-PER", None, "I-PER"], NAMES),
        {
            "the rest is O": ("[IGNORE] * len", "[0] * len"),
            "O is left out": ("tag is not None", 'tag not in (None, "O")'),
        },
    ),
    Case(
        "spans.spans_of",
        lambda f: [f["spans_of"](tags) for tags in SEQUENCES],
        {
            "another kind goes on": ('mark == "I" and own == kind', 'mark == "I" and kind'),
            "the last span is lost": ('[*tags, "O"]', "tags"),
        },
    ),
    Case(
        "spans.span_scores",
        scored,
        {"kinds do not matter": ("{*own} & {*found}", "{s[1:] for s in own} & {s[1:] for s in found}")},
    ),
    Case("spans.may_follow", followed, {"any span goes on": ('in (f"B-{tag[2:]}", tag)', '!= "O"')}),
    Case(
        "spans.best_path",
        best,
        {
            "anything may begin": ("scores[0] + penalty[0]", "scores[0]"),
            "word by word": (".masked_fill(~allowed, -torch.inf)", ""),
        },
    ),
    Case(
        "tagging.word_scores",
        read,
        {
            "in the order of the batches": ('batch["rows"].tolist()', 'batch["rows"].sort().values.tolist()'),
            "dropout stays on": ("with evaluation_mode(model):", "with torch.no_grad():"),
        },
    ),
]
