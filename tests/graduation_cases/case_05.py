"""Lesson 05: the tokenizer."""

import tempfile
from typing import Any

from graduation import Case, Functions
from transformers import AutoConfig, AutoTokenizer

from bertft_helpers.pretrained import find_checkpoint


def loaded(functions: Functions) -> Any:
    tokenizer = functions["load_tokenizer"]("bundled")
    texts = ["Shares fall", "Café owner's U-turn"]
    return tokenizer(texts)["input_ids"], tokenizer.model_max_length, len(tokenizer), refused(functions)


def refused(functions: Functions) -> bool:
    """Whether a folder is turned away whose tokenizer has one entry more than the model's table has rows."""
    with tempfile.TemporaryDirectory() as folder:
        AutoConfig.from_pretrained(find_checkpoint()).save_pretrained(folder)
        extended = AutoTokenizer.from_pretrained(find_checkpoint())
        extended.add_tokens(["brexit"])
        extended.save_pretrained(folder)
        try:
            functions["load_tokenizer"](folder)
        except ValueError:
            return True
    return False


CASES = [
    Case(
        "pretrained.load_tokenizer",
        loaded,
        {
            "another limit": ("= config.max_position_embeddings", "= config.vocab_size"),
            "added entries not counted": ("if len(tokenizer) >", "if tokenizer.vocab_size >"),
        },
    )
]
