"""Lesson A5: ROUGE by single words and by order, greedy labels, pairs to train on, sentences scored one by one."""

import itertools
from typing import Any

import torch
from graduation import Case, Functions
from minimal import tiny_classifier

from bertft_helpers.pretrained import load_tokenizer

TEXTS = [
    "Rates rise, rates fall.",
    "The banks fear: rates rise!",
    "fall rates RISE",
    "",
    "£150m for U.S. banks",
    'Rates rise. "Banks fear," he said. "We wait."\nIt rained? No.\n…\n',
]
PAIRS = [*itertools.product(TEXTS, repeat=2)]
LABELS = [[0, 1, 0, 0], [0, 0], [1, 1, 0, 0, 0], [1]]


def labelled(functions: Functions) -> Any:
    return [functions["greedy_labels"](TEXTS, reference, most) for reference in TEXTS for most in (1, 2, 9)]


def shared(functions: Functions) -> Any:
    return [functions["shares"](*counts) for counts in ((2, 3, 5), (4, 5, 4), (0, 3, 0), (0, 0, 0))]


def longest(functions: Functions) -> Any:
    words = ["", "abcab", "bca", "cba", "aab"]
    return [functions["longest_common"](one, other) for one in words for other in words]


def scored(functions: Functions) -> Any:
    stories = [["Rates rise.", "It rained for days and days."], ["No."], ["Banks fear.", "No.", "Yes."]]
    model = tiny_classifier(vocab_size=30_522, num_labels=2)
    return functions["sentence_scores"](model, load_tokenizer("bundled"), stories)


def best(functions: Functions) -> Any:
    scores = torch.tensor([0.2, 0.9, 0.1, 0.95, 0.9])
    return [functions["best_sentences"](scores, most) for most in (1, 2, 3, 9)]


CASES = [
    Case("rouge.words_of", lambda f: [f["words_of"](text) for text in TEXTS], {"capitals": (".lower()", "")}),
    Case("rouge.shares", shared, {"of the wrong text": ("common / max(said, 1)", "common / max(wanted, 1)")}),
    Case(
        "rouge.rouge_1",
        lambda f: [f["rouge_1"](*pair) for pair in PAIRS],
        {"each word once": ("(Counter(said) & Counter(wanted)).total()", "len({*said} & {*wanted})")},
    ),
    Case(
        "rouge.rouge_l",
        lambda f: [f["rouge_l"](*pair) for pair in PAIRS],
        {"in any order": ("longest_common(said, wanted)", "(Counter(said) & Counter(wanted)).total()")},
    ),
    Case("rouge.longest_common", longest, {"without gaps": ("max(above[place + 1], row[place])", "0")}),
    Case(
        "rouge.greedy_labels",
        labelled,
        {"by recall": (".f1", ".recall"), "never stops": ("if scores[best] <= score:", "if not scores:")},
    ),
    Case(
        "summarizing.sentences_of",
        lambda f: [f["sentences_of"](text) for text in TEXTS],
        {"lines are joined": (r"\n+|", ""), "wordless ones stay": (" if words_of(sentence)", "")},
    ),
    Case(
        "summarizing.draw_pairs",
        lambda f: [f["draw_pairs"](LABELS, seed) for seed in range(3)],
        {"all the others": ("draw.sample(left, min(len(taken), len(left)))", "left")},
    ),
    Case(
        "summarizing.sentence_scores",
        scored,
        {
            "of the other label": (".probabilities[:, 1]", ".probabilities[:, 0]"),
            "in equal parts": ("[len(story) for story in stories]", "2"),
        },
    ),
    Case("summarizing.best_sentences", best, {"in the order of the scores": ("sorted(", "list(")}),
]
