"""Lesson A4: pairs in a batch, vectors and their cosines, ranks and their scores, grades."""

from typing import Any

import torch
from graduation import Case, Functions
from minimal import tiny_classifier, tiny_encoder
from transformers import BertModel

from bertft_helpers.errors import UserError

PAIRS = [
    {"left": [2, 9, 3], "right": [2, 7, 8, 12, 3], "rows": 4},
    {"left": [2, 5, 6, 3], "right": [2, 3], "rows": 1},
    {"left": [2, 3], "right": [2, 40, 41, 3], "rows": 0},
]
SCORES = torch.randn(9, 6, generator=torch.Generator().manual_seed(0)).round(decimals=1)  # with ties
RIGHT = torch.arange(9) % 6


def padded(functions: Functions) -> Any:
    return functions["pad_pairs"](PAIRS), functions["pad_pairs"](PAIRS, 7)


def compared(functions: Functions) -> Any:
    batch = functions["pad_pairs"](PAIRS)
    encoder: BertModel = tiny_encoder().eval()
    model = functions["BiEncoder"](encoder, 0.1)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    return (
        model(ids, mask).logits.detach(),
        model.vectors(ids, mask).detach(),
        functions["BiEncoder"](encoder).temperature,
    )


def ranked(functions: Functions) -> Any:
    try:
        refused = functions["ranks_of"](torch.full((2, 2), torch.nan), torch.arange(2))
    except UserError as error:
        refused = str(error)
    return functions["ranks_of"](SCORES, RIGHT), functions["ranks_of"](torch.zeros(2, 3), torch.tensor([2, 0])), refused


def graded(functions: Functions) -> Any:
    batch = {
        "input_ids": torch.tensor([[2, 9, 3], [2, 8, 3]]),
        "attention_mask": torch.ones(2, 3, dtype=torch.long),
        "grades": torch.tensor([0.25, 1.0]),
    }
    with torch.no_grad():
        return functions["graded_loss"](tiny_classifier(num_labels=2).eval(), batch)


CASES = [
    Case(
        "pairs.pad_pairs",
        padded,
        {
            "pair by pair": (
                'for side in ("left", "right") for example in examples',
                'for example in examples for side in ("left", "right")',
            )
        },
    ),
    Case(
        "similarity.BiEncoder",
        compared,
        {
            "vectors of any length": (
                "return normalize(pool_mean(hidden, mask), dim=1)",
                "return pool_mean(hidden, mask)",
            ),
            "times the temperature": ("left @ right.T / self.temperature", "left @ right.T * self.temperature"),
        },
    ),
    Case("ranking.ranks_of", ranked, {"a tie is a hit": ("scores >= scores.gather", "scores > scores.gather")}),
    Case(
        "ranking.hit_at",
        lambda f: [f["hit_at"](RIGHT + 1, places) for places in (1, 3)],
        {"one place too few": ("ranks <= places", "ranks < places")},
    ),
    Case(
        "ranking.mean_reciprocal_rank",
        lambda f: f["mean_reciprocal_rank"](RIGHT + 1),
        {"of the mean rank": ("(1 / ranks.double()).mean()", "1 / ranks.double().mean()")},
    ),
    Case(
        "ranking.nearest",
        lambda f: [f["nearest"](SCORES[:2], SCORES[2:], count) for count in (3, 20)],
        {"the farthest": ("dim=1)", "dim=1, largest=False)")},
    ),
    Case(
        "ranking.put_first",
        lambda f: f["put_first"](SCORES, SCORES.topk(2, dim=1).indices, SCORES[:, :2].abs()),
        {"among the others": ("better + scores.max() + 1", "better")},
    ),
    Case(
        "similarity.graded_loss",
        graded,
        {
            "of the first class": ("[:, 1]", "[:, 0]"),
            "already a mean": ('reduction="sum"', 'reduction="mean"'),
        },
    ),
]
