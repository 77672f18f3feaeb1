"""Lesson 10 writes out encoding."""

from typing import Any

from graduation import Case, Functions

from bertft_helpers.pretrained import load_tokenizer

TEXTS = ("Ad sales boost Time Warner profit", "Café chain's £5m U-turn", "", "profit " * 600)  # the last beyond 512


def encoded(functions: Functions) -> Any:
    return functions["encode"](TEXTS, load_tokenizer())


CASES = [
    Case(
        "batching.encode",
        encoded,
        mutants={
            "no [CLS] and [SEP]": ("truncation=False", "truncation=False, add_special_tokens=False"),
            "cuts long texts already": ("truncation=False", "truncation=True"),
            "pads to the longest": ("padding=False", "padding=True"),
        },
    )
]
