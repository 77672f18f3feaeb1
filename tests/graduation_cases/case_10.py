"""Lesson 10: ids of full length."""

from typing import Any

from graduation import Case, Functions

from bertft_helpers.pretrained import load_tokenizer

TEXTS = ["Shares fall", "Mourinho's U-turn", "", "word " * 700]


def ids(functions: Functions) -> Any:
    return functions["encode"](TEXTS, load_tokenizer())


CASES = [
    Case(
        "batching.encode",
        ids,
        {
            "cut already": ("truncation=False", "truncation=True"),
            "no [CLS] and [SEP]": ("padding=False", "padding=False, add_special_tokens=False"),
        },
    )
]
