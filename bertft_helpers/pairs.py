"""Pairs of texts for BERT: side by side for a bi-encoder, in one sequence for a cross-encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerBase

from bertft_helpers.batching import Batch, BucketBatchSampler, EncodedTexts, encode, pad_batch
from bertft_helpers.errors import UserError
from bertft_helpers.reading.report import name_rows
from bertft_helpers.validation import check_not_blank, check_texts

__all__ = [
    "JoinedPairs",
    "check_lengths",
    "check_pairs",
    "encode_pairs",
    "join_pairs",
    "make_pair_loader",
    "pad_pairs",
    "refuse_repeated",
]


class JoinedPairs(EncodedTexts):
    """Pairs for a cross-encoder: ids of both texts in one sequence, ``segments`` 0 and 1, a grade from 0 to 1 each.

    The label is the grade's nearer end: 0 (apart) or 1 (together).
    """

    def __init__(
        self, input_ids: list[list[int]], segments: list[list[int]], grades: Sequence[float], pad_id: int = 0
    ) -> None:
        super().__init__(input_ids, [int(grade >= 0.5) for grade in grades], pad_id)
        self.segments, self.grades = segments, list(grades)

    def __getitem__(self, row: int) -> dict:
        return super().__getitem__(row) | {"token_type_ids": self.segments[row], "grades": float(self.grades[row])}


def encode_pairs(left: Sequence[str], right: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[dict]:
    """Pairs for ``make_pair_loader``: the token ids of both texts, and the pair's row.

    Raises UserError as ``check_pairs``, ``check_lengths`` and ``refuse_repeated``.
    """
    check_pairs(left, right)
    refuse_repeated(right)
    sides = encode(left, tokenizer), encode(right, tokenizer)
    for ids in sides:
        check_lengths(ids, tokenizer)
    return [{"left": one, "right": other, "rows": row} for row, (one, other) in enumerate(zip(*sides, strict=True))]


def pad_pairs(examples: Sequence[dict], pad_id: int = 0) -> Batch:
    """All left texts and then all right texts as one batch ``[2 x pairs, longest]``; the label of pair n is n.

    Written out in lesson A4.
    """
    both = [{"input_ids": example[side]} for side in ("left", "right") for example in examples]
    rows = torch.tensor([example["rows"] for example in examples])
    return pad_batch(both, pad_id) | {"labels": torch.arange(len(examples)), "rows": rows}


def make_pair_loader(pairs: list[dict], batch_size: int, seed: int | None = None, pad_id: int = 0) -> DataLoader:
    """Batches of pairs with right texts of similar length, in an order as that of ``batching.make_loader``."""
    sampler = BucketBatchSampler([len(pair["right"]) for pair in pairs], batch_size, seed)
    return DataLoader(cast(Dataset, pairs), batch_sampler=sampler, collate_fn=partial(pad_pairs, pad_id=pad_id))


def join_pairs(
    left: Sequence[str], right: Sequence[str], grades: Sequence[float], tokenizer: PreTrainedTokenizerBase
) -> JoinedPairs:
    """Pairs as ``[CLS] left [SEP] right [SEP]`` with their grades. Raises UserError naming the row (from 1)."""
    check_pairs(left, right, grades)
    encoded = tokenizer(list(left), list(right), return_token_type_ids=True, verbose=False)
    ids = cast(list[list[int]], encoded["input_ids"])
    check_lengths(ids, tokenizer)
    return JoinedPairs(ids, cast(Any, encoded["token_type_ids"]), grades, cast(int, tokenizer.pad_token_id or 0))


def check_pairs(left: Sequence[str], right: Sequence[str], grades: Sequence[float] | None = None) -> None:
    """Raise UserError unless every text has a partner, no side is empty, and every grade lies between 0 and 1."""
    if len(left) != len(right):
        raise UserError(f"{len(left)} texts on the left and {len(right)} on the right: give each text its partner")
    for side, texts in (("left side", left), ("right side", right)):
        check_texts(texts, side)
        check_not_blank(texts, side)
    grades = [0.0] * len(left) if grades is None else grades
    if len(grades) != len(left):
        raise UserError(f"{len(left)} pairs but {len(grades)} grades: give each pair one")
    if wrong := [row for row, grade in enumerate(grades, start=1) if not 0 <= grade <= 1]:
        raise UserError(
            f"grades outside 0 to 1 in {name_rows(wrong)}, such as {grades[wrong[0] - 1]}: divide a scale of 0 to 5 by "
            "5, and remove pairs that nobody graded"
        )


def check_lengths(ids: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise UserError naming the rows (from 1) that have more tokens than the model has positions."""
    if long := [row for row, own in enumerate(ids, start=1) if len(own) > tokenizer.model_max_length]:
        raise UserError(
            f"{name_rows(long)} have up to {max(map(len, ids))} tokens, the model takes {tokenizer.model_max_length}: "
            "compare shorter parts, such as the texts' beginnings"
        )


def refuse_repeated(texts: Sequence[str]) -> None:
    """Raise UserError for a text that stands in two rows: in one batch each would be the other's wrong answer."""
    first: dict[str, int] = {}
    for row, text in enumerate(texts, start=1):
        if first.setdefault(text, row) != row:
            raise UserError(
                f"rows {first[text]} and {row} have the same text on the right: in one batch each would be the other's "
                "wrong answer. Keep one of them (data.clean does)"
            )
