"""Lesson 11 writes out padding and truncation."""

from typing import Any

from graduation import Case, Functions

EXAMPLES = [
    {"input_ids": [101, 7, 8, 102], "labels": 2, "rows": 5},
    {"input_ids": [101, 102], "labels": 0, "rows": 9},
    {"input_ids": [101, 7, 8, 9, 10, 102], "labels": 1, "rows": 0},
]


def padded(functions: Functions) -> Any:
    return [functions["pad_batch"](EXAMPLES), functions["pad_batch"](EXAMPLES[:2], pad_id=3)]


def cut(functions: Functions) -> Any:
    texts = [[101, *range(1, length - 1), 102] for length in (2, 3, 9, 10, 11, 40)]
    return {
        policy: [functions["truncate"](ids, limit, policy) for ids in texts for limit in (3, 10, 11)]
        for policy in ("head", "tail", "head+tail")
    }


CASES = [
    Case(
        "batching.pad_batch",
        padded,
        mutants={
            "padding counts as real": ("torch.zeros_like(input_ids)", "torch.ones_like(input_ids)"),
            "the mask misses the last token": ("attention_mask[row, :length]", "attention_mask[row, : length - 1]"),
            "pads with zero whatever is asked": ("longest), pad_id", "longest), 0"),
            "pads more than the longest needs": ("longest = max(", "longest = 8 + max("),
            "forgets the row numbers": ('!= "input_ids"', 'not in ("input_ids", "rows")'),
        },
    ),
    Case(
        "batching.truncate",
        cut,
        mutants={
            "the end mark is cut off": ("return first + text[:head]", "return (first + text)[:max_length] + text[:0]"),
            "no tail means the whole text": ("text[len(text) - tail :]", "text[-tail:]"),
            "half a head": ("room // 4", "room // 2"),
            "cuts a text that just fits": ("len(ids) <= max_length", "len(ids) < max_length - 1"),
            "one token too many": ("room = max_length - 2", "room = max_length - 1"),
        },
    ),
]
