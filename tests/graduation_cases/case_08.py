"""Lesson 08: the split."""

from typing import Any

from graduation import Case, Functions

from bertft_helpers.data import clean, load_texts, select_view

HEADLINES = clean(select_view(load_texts("news"), "headline")).kept


def rows(functions: Functions) -> Any:
    split = functions["split"]
    return [
        {name: list(part["id"]) for name, part in parts.items()}
        for parts in (split(HEADLINES, 0), split(HEADLINES, 7, 0.1, 0.3))
    ]


CASES = [
    Case(
        "data.split",
        rows,
        {
            "shares of the whole": ("validation / (1 - test)", "validation"),
            "not stratified": ("stratify=labels", "stratify=None"),
            "the seed forgotten": ("test_size=test, random_state=seed", "test_size=test, random_state=0"),
        },
    )
]
