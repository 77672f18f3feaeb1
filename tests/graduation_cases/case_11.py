"""Lesson 11: padding and truncation."""

from typing import Any

from graduation import Case, Functions
from tiny import tiny_examples

LONG = [101, *range(1, 40), 102]


def padded(functions: Functions) -> Any:
    examples = tiny_examples(5)
    return functions["pad_batch"]([examples[row] for row in range(5)]), functions["pad_batch"]([examples[0]], 9)


def cut(functions: Functions) -> Any:
    return [
        functions["truncate"](LONG, limit, policy)
        for limit in (3, 10, 41, 50)
        for policy in ("head", "tail", "head+tail")
    ]


CASES = [
    Case(
        "batching.pad_batch",
        padded,
        {
            "a mask of ones": ("torch.zeros_like(input_ids)", "torch.ones_like(input_ids)"),
            "padded with zero always": ("pad_id, dtype", "0, dtype"),
        },
    ),
    Case(
        "batching.truncate",
        cut,
        {
            "[SEP] lost": ("text[len(text) - tail :] + last", "text[len(text) - tail :]"),
            "no tail means all of it": ("text[len(text) - tail :]", "text[-tail:]"),
            "half and half": ("room // 4", "room // 2"),
        },
    ),
]
