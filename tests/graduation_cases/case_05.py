"""Lesson 05: the tokenizer."""

from typing import Any

from graduation import Case, Functions


def loaded(functions: Functions) -> Any:
    tokenizer = functions["load_tokenizer"]("bundled")
    return tokenizer(["Shares fall", "Café owner's U-turn"])["input_ids"], tokenizer.model_max_length, len(tokenizer)


CASES = [
    Case(
        "pretrained.load_tokenizer",
        loaded,
        {"another limit": ("= config.max_position_embeddings", "= config.vocab_size")},
    )
]
