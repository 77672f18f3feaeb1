"""A model's tokenizer: there with a vocabulary of its own, and one that the model has vectors for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.model_files.contents import in_plain_words, read_object, require_content
from bertft_helpers.model_files.loading import load_config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["FEWEST_WORDS", "FULL", "JSON_FILES", "VOCABULARIES", "doubts_about", "load_vocabulary"]

FEWEST_WORDS = 2  # beside [CLS] and its like: with fewer, texts cannot differ
FULL = 0.9  # of a model's vectors: tables are rounded up to please a GPU, but never by more

JSON_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")


def load_vocabulary(folder: Path) -> PreTrainedTokenizerBase:
    """``AutoTokenizer.from_pretrained``, but only where there is a vocabulary, and one that the model has vectors for.

    Without one every word would be unknown. Raises MissingError, DamagedFileError, and UserError.
    """
    from transformers import AutoTokenizer

    folder = Path(folder)
    _require_vocabulary(folder)
    config = load_config(folder)
    with in_plain_words(folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.pad_token_id is None and (pad := getattr(config, "pad_token_id", None)) is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)  # hidden from tools that do not mask it
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer in {folder} has no padding token, so texts cannot be put into batches")
    if len(tokenizer) < len(set(tokenizer.all_special_ids)) + FEWEST_WORDS:
        raise UserError(
            f"the tokenizer in {folder} has {len(tokenizer)} entries and so no words, and every text would be unknown: "
            "copy its files again from where the model comes from"
        )
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} entries but the model only {config.vocab_size}: they do not belong "
            f"together; take both from one folder ({folder})"
        )
    return tokenizer


def doubts_about(tokenizer: PreTrainedTokenizerBase, folder: Path) -> list[str]:
    """What speaks for a tokenizer of another model though it fits; only a manifest could tell for certain."""
    config = load_config(folder)
    found = []
    if len(tokenizer) < FULL * config.vocab_size:
        found.append(
            f"the tokenizer in {folder} has {len(tokenizer):,} entries, the model has vectors for "
            f"{config.vocab_size:,}: it may be cut short, or another model's; compare it with where they come from"
        )
    pad = getattr(config, "pad_token_id", None)
    if pad is not None and tokenizer.pad_token_id != pad:
        found.append(
            f"the tokenizer in {folder} pads with entry {tokenizer.pad_token_id}, its model with {pad}: they may be of "
            "two models"
        )
    if differing := _differing_entries(tokenizer, folder):
        found.append(
            f"tokenizer.json and vocab.txt in {folder} differ in {differing:,} entries, so one was altered or is "
            "another model's; the first was read, compare both with where they come from"
        )
    return found


def _differing_entries(tokenizer: PreTrainedTokenizerBase, folder: Path) -> int:
    """How many words of ``vocab.txt`` have another number in ``tokenizer.json``; 0 where one of them is missing."""
    list_of_words = folder / "vocab.txt"
    if not list_of_words.is_file() or not (folder / "tokenizer.json").is_file():
        return 0
    words = list_of_words.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")
    return sum(tokenizer.convert_tokens_to_ids(word.rstrip("\r")) != number for number, word in enumerate(words))


def _require_vocabulary(folder: Path) -> None:
    """Refuse a folder without a vocabulary, and one whose files about the tokenizer are not whole."""
    vocabularies = [folder / name for name in VOCABULARIES if (folder / name).is_file()]
    if not vocabularies:
        raise MissingError(
            f"{folder} has no tokenizer: tokenizer.json or vocab.txt missing; copy them from where the model comes from"
        )
    for path in vocabularies:
        require_content(path)
    for name in JSON_FILES:
        if (folder / name).is_file():
            read_object(folder / name)
