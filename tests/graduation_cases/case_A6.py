"""Lesson A6: questions with two answers, F1 over several labels and their thresholds, windows, a number."""

from typing import Any

import numpy as np
import torch
from graduation import Case, Functions
from minimal import tiny_batch, tiny_classifier

from bertft_helpers.batching import pad_batch
from bertft_helpers.errors import UserError
from bertft_helpers.losses import classification_loss

NAMES = ["sport", "money", "uk"]
GENERATOR = np.random.default_rng(0)
TARGETS = GENERATOR.random((30, 3)) < [0.2, 0.5, 0.7]
PROBABILITIES = (0.4 * TARGETS + 0.6 * GENERATOR.random((30, 3))).round(2)


def asked(functions: Functions) -> Any:
    model = functions["YesOrNo"](tiny_classifier().eval())
    batch = {**tiny_batch(), "labels": torch.randint(0, 2, (6, 3), generator=torch.Generator().manual_seed(0))}
    with torch.no_grad():
        return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits, classification_loss(
            model, batch
        )


def refusing(run: Any, *arguments: Any) -> Any:
    try:
        return run(*arguments)
    except UserError as error:
        return str(error)


def rowed(functions: Functions) -> Any:
    lists = ([["uk", "sport"], [], ["money"]], [["uk"], ["UK"]], ["uk"])
    return [refusing(functions["label_rows"], own, NAMES) for own in lists]


def scored(functions: Functions) -> Any:
    return [functions["f1_scores"](TARGETS, said) for said in (PROBABILITIES >= 0.5, np.zeros_like(TARGETS), TARGETS)]


def tuned(functions: Functions) -> Any:
    return [
        functions["tune_thresholds"](TARGETS, PROBABILITIES),
        refusing(functions["tune_thresholds"], TARGETS[:1], PROBABILITIES[:1]),
    ]


def cut(functions: Functions) -> Any:
    texts = [[2, *range(10, 10 + length), 3] for length in range(12)]
    return [functions["cut_windows"](ids, 6, stride) for ids in texts for stride in (0, 1, 3)] + [
        refusing(functions["cut_windows"], [2, 3], 6, 4)
    ]


def pooled(functions: Functions) -> Any:
    values = torch.randn(6, 3, 2, generator=torch.Generator().manual_seed(0))
    pool = functions["pool_windows"]
    return [pool(values, [1, 3, 2], name) for name in ("max", "mean", "first")] + [refusing(pool, values, [6], "sum")]


def read(functions: Functions) -> Any:
    texts = [[2, *range(8, 8 + length), 3] for length in (30, 4, 17)]
    batch = pad_batch([{"input_ids": ids} for ids in texts])
    model = tiny_classifier(initializer_range=0.5, max_position_embeddings=12).eval()
    with torch.no_grad():
        return [
            functions["OverWindows"](model, 12, 2, pooling, at_once=at_once)(**batch).logits
            for pooling, at_once in (("max", 2), ("mean", 32))
        ]


def scaled(functions: Functions) -> Any:
    lists = ([1.0, 2.0, 6.0], [1.0, float("nan")], [2.0, 2.0])
    return [refusing(functions["measure_scale"], numbers) for numbers in lists]


def squared(functions: Functions) -> Any:
    batch = {**tiny_batch(), "labels": torch.tensor([0.5, -1.0, 2.0, 0.0, 1.5, -0.5])}
    with torch.no_grad():
        return functions["squared_loss"](tiny_classifier(num_labels=1).eval(), batch)


CASES = [
    Case(
        "several_labels.YesOrNo",
        asked,
        {"yes first": ("[torch.zeros_like(yes), yes]", "[yes, 0 * yes]")},
    ),
    Case(
        "several_labels.label_rows",
        rowed,
        {"unknown names pass": ("if name not in label_names]", "if False]")},
    ),
    Case(
        "several_labels.f1_scores",
        scored,
        {"the mean of labels is micro": ("float(f1(None))", "float(f1(0).mean())"), "hits once": ("2 * hits", "hits")},
    ),
    Case(
        "several_labels.tune_thresholds",
        tuned,
        {"at the probability itself": ("best : best + 2", "best : best + 1"), "precision": (" + has.sum()", "")},
    ),
    Case(
        "windows.cut_windows",
        cut,
        {"a window too many": ("len(text) - stride", "len(text)"), "no overlap": ("room - stride)", "room)")},
    ),
    Case(
        "windows.pool_windows",
        pooled,
        {"of all texts": ("values.split(list(counts))", "[values] * len(counts)")},
    ),
    Case(
        "windows.OverWindows",
        read,
        {
            "padding is read": ("ids[mask.bool()].tolist()", "ids.tolist()"),
            "texts change places": ("list(map(len, windows))", "list(map(len, windows))[::-1]"),
        },
    ),
    Case("regression.measure_scale", scaled, {"one less": ("values.std())", "values.std(ddof=1))")}),
    Case(
        "regression.squared_loss",
        squared,
        {"absolute": (".square()", ".abs()"), "mean": (".sum(), torch", ".mean(), torch")},
    ),
]
