"""Texts made ready for one run: cleaned, divided, encoded, and what is to be said about them before training."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict
from transformers import PreTrainedTokenizerBase

from bertft_helpers.batching import EncodedTexts, encode, truncate
from bertft_helpers.data import clean
from bertft_helpers.long_texts import encode_whole, without_middle
from bertft_helpers.own_texts.alike import removed_as_read
from bertft_helpers.own_texts.grouped import about_groups, rows_by_group
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.sources import (
    GROUP,
    digest_of,
    name_classes,
    rows_by_class,
    small_classes,
    take_parts,
    without_classes,
)
from bertft_helpers.own_texts.whole_texts import WindowSize, windows_for
from bertft_helpers.tables import visible

__all__ = [
    "IMBALANCED",
    "PARTS",
    "SMALL_CLASS",
    "SMALL_TEST",
    "Prepared",
    "about_language",
    "about_length",
    "divide",
    "introduction",
    "prepare",
    "prepare_for",
    "read_once",
    "share_cut",
    "warnings_about",
]

PARTS = ("train", "validation", "test")
SMALL_TEST, SMALL_CLASS = 100, 10  # texts: below these a score is an anecdote
IMBALANCED = 5  # times as many texts in the largest class as in the smallest


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Everything that a run needs to know of its texts.

    ``lengths`` are tokens before cutting, by part; ``unknown_share`` the share of word pieces that are [UNK];
    ``pieces_per_word`` tells how well the vocabulary fits the language; ``removed`` the rows that were taken out, with
    the numbers of their classes as read; ``left_out`` the classes that were too small, with their numbers of texts;
    ``windows`` those in which ``examples``, then of whole texts, are read.
    """

    parts: DatasetDict
    removed: pd.DataFrame
    examples: dict[str, EncodedTexts]
    lengths: dict[str, list[int]]
    unknown_share: float
    pieces_per_word: float
    digest: str
    left_out: dict[str, int]
    windows: WindowSize | None = None

    @property
    def label_names(self) -> list[str]:
        """The classes, in the order of the logits."""
        return self.parts["train"].features["label"].names

    @property
    def described(self) -> str:
        """What the texts are of, for a sentence about them."""
        return f"of {len(self.label_names)} classes"

    def counts(self, part: str) -> list[int]:
        """How many texts of each class a part has."""
        counted = Counter(self.examples[part].labels)
        return [counted[label] for label in range(len(self.label_names))]


def prepare(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    policy: str,
    seed: int,
    validation: float = 0.2,
    test: float = 0.2,
    skip_small_classes: bool = False,
    windows: WindowSize | None = None,
) -> Prepared:
    """Clean, encode, remove what the tokenizer reads alike, divide by class and cut, unless texts are read in windows.

    So no text of one part is in another, also in other spelling, and no group, where texts have groups. A class too
    small to be in every part is left out with ``skip_small_classes``; else it raises UserError.
    """
    kept, ids, removed = read_once(dataset, tokenizer, windows)
    left_out = small_classes(kept) if skip_small_classes else {}
    if left_out:
        names = kept.features["label"].names
        reasons = ["small class" if names[label] in left_out else "" for label in kept["label"]]
        kept, ids, removed = _without(reasons, kept, ids, removed)
        kept = without_classes(kept, left_out)
    rows_of = rows_by_group if GROUP in kept.column_names else rows_by_class
    divided = divide(kept, ids, rows_of(kept, seed, validation, test), tokenizer, max_length, policy, windows)
    return Prepared(**divided, removed=removed, digest=digest_of(dataset), left_out=left_out)


def read_once(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, windows: WindowSize | None = None
) -> tuple[Dataset, list[list[int]], pd.DataFrame]:
    """The cleaned rows that the tokenizer tells apart, their token ids, and the rows that were removed."""
    kept, removed = clean(dataset)
    ids = _encoded(kept["text"][:], tokenizer, windows)
    return _without(removed_as_read(kept, ids, tokenizer), kept, ids, removed)


def divide(
    kept: Dataset,
    ids: Sequence[list[int]],
    rows: Mapping[str, list[int]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    policy: str,
    windows: WindowSize | None = None,
) -> dict[str, Any]:
    """What ``Prepared`` holds part by part, by name: the texts of ``rows``, cut, and how the vocabulary fits them.

    Texts that are read in ``windows`` are not cut.
    """
    parts = take_parts(kept, dict(rows))
    encoded = {part: [ids[row] for row in rows[part]] for part in PARTS}
    examples = {
        part: EncodedTexts(
            encoded[part] if windows else [truncate(own, max_length, policy) for own in encoded[part]],
            list(parts[part]["label"]),
            tokenizer.pad_token_id or 0,
        )
        for part in PARTS
    }
    unknown, pieces = _fit_of_vocabulary(list(parts["train"]["text"]), encoded["train"], tokenizer.unk_token_id)
    lengths = {part: [len(own) for own in encoded[part]] for part in PARTS}
    fit = {"unknown_share": unknown, "pieces_per_word": pieces}
    return {"parts": parts, "examples": examples, "lengths": lengths, "windows": windows, **fit}


def prepare_for(
    settings: TaskSettings, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Prepared:
    """``prepare`` as the settings of a run ask for."""
    return prepare(
        dataset,
        tokenizer,
        max_length,
        settings.policy,
        settings.seed,
        settings.validation,
        settings.test,
        settings.skip_small_classes,
        windows_for(settings, max_length),
    )


def _encoded(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, windows: WindowSize | None) -> list[list[int]]:
    """Token ids; only where all of a text is read are those of its middle needed, however long it is."""
    return encode_whole(texts, tokenizer) if windows else encode([without_middle(text) for text in texts], tokenizer)


def _without(
    reasons: Sequence[str], kept: Dataset, ids: list[list[int]], removed: pd.DataFrame
) -> tuple[Dataset, list[list[int]], pd.DataFrame]:
    """The rows that no reason speaks against, their token ids, and the table of removed rows with the others."""
    going = [row for row, reason in enumerate(reasons) if reason]
    if not going:
        return kept, ids, removed
    staying = [row for row, reason in enumerate(reasons) if not reason]
    more = pd.DataFrame({name: kept[going][name] for name in ("id", "text", "label")})
    more["reason"] = [reasons[row] for row in going]
    stay = Dataset.from_dict(kept[staying], features=kept.features)
    return stay, [ids[row] for row in staying], pd.concat([removed, more], ignore_index=True)


def introduction(prepared: Prepared) -> str:
    """How many rows went in, stayed and were removed: the numbers add up."""
    counts = {part: len(prepared.examples[part]) for part in PARTS}
    reasons = ", ".join(f"{count} {why}" for why, count in prepared.removed["reason"].value_counts().items())
    kept, removed = sum(counts.values()), len(prepared.removed)
    return (
        f"{kept + removed} rows: {kept} texts {prepared.described} kept, {removed} removed"
        f"{f' ({reasons})' if reasons else ''}; {counts['train']} to train on, {counts['validation']} to choose the "
        f"epoch by, {counts['test']} to test on once, and no text in two of these"
    )


def _fit_of_vocabulary(texts: Sequence[str], encoded: Sequence[Sequence[int]], unknown_id: int) -> tuple[float, float]:
    """The share of pieces that are unknown, and pieces per word as white space parts them."""
    pieces = sum(len(ids) - 2 for ids in encoded)  # without [CLS] and [SEP]
    unknown = sum(list(ids).count(unknown_id) for ids in encoded)
    words = sum(len(text.split()) for text in texts)
    return unknown / max(pieces, 1), pieces / max(words, 1)


def share_cut(prepared: Prepared, max_length: int) -> float:
    """The share of all texts that are longer than ``max_length`` tokens."""
    lengths = np.concatenate([prepared.lengths[part] for part in PARTS])
    return float((lengths > max_length).mean())


def warnings_about(prepared: Prepared, max_length: int, policy: str, class_weights: bool) -> list[str]:
    """What a reader of the scores must know about the texts, one sentence or two each."""
    found = [about_groups(prepared.parts), _about_left_out(prepared), about_language(prepared)]
    found += [about_length(prepared, max_length, policy), _about_imbalance(prepared, class_weights)]
    return [*filter(None, found), *_about_size(prepared)]


def _about_left_out(prepared: Prepared) -> str:
    if not prepared.left_out:
        return ""
    what = "groups" if GROUP in prepared.parts["train"].column_names else "different texts"
    return (
        f"Left out as asked, with too few {what}: {name_classes(prepared.left_out)}. The model knows no such "
        "class: a text of one gets the label of another."
    )


def about_language(prepared: Prepared) -> str:
    """A sentence where the vocabulary does not fit the texts; empty where it does."""
    if prepared.unknown_share > 0.01:
        return (
            f"{prepared.unknown_share:.1%} of the word pieces are [UNK]: the checkpoint does not know these "
            "characters, or they are words of over 100 letters, so what they say is lost. Choose a checkpoint made for "
            "the language of the texts, or look for texts without spaces."
        )
    if prepared.pieces_per_word > 2.5:
        return (
            f"The checkpoint breaks a word into {prepared.pieces_per_word:.1f} pieces on average (English news: about "
            "1.2): its vocabulary was made for another language or kind of text. A checkpoint for this one will "
            "probably do better."
        )
    return ""


def about_length(prepared: Prepared, max_length: int, policy: str) -> str:
    """What was cut, in a sentence; empty where it is next to nothing."""
    share = share_cut(prepared, max_length)
    if share < 0.01:
        return ""
    if prepared.windows:
        return (
            f"{share:.0%} of the texts are longer than {max_length} tokens and are read in windows, "
            f"{_windows_a_text(prepared.windows, prepared):.1f} a text on average: the model takes that many times "
            "as long, and training a third more."
        )
    kept = {
        "head": "their beginning stays",
        "tail": "their end stays",
        "head+tail": "the first quarter of that length is taken from their beginning and the rest from their end",
    }[policy]
    return (
        f"{share:.0%} of the texts are longer than {max_length} tokens and were cut: {kept}. "
        "A larger --max-length (BERT allows 512) keeps more and costs more."
    )


def _windows_a_text(windows: WindowSize, prepared: Prepared) -> float:
    return float(np.mean([len(windows.cut(ids)) for part in PARTS for ids in prepared.examples[part].input_ids]))


def _about_imbalance(prepared: Prepared, class_weights: bool) -> str:
    counts = prepared.counts("train")
    if max(counts) < IMBALANCED * min(counts):
        return ""
    advice = (
        "the loss counts rare classes more (--class-weights)"
        if class_weights
        else "try --class-weights in another folder and compare"
    )
    return (
        f"The classes are uneven: {max(counts)} training texts in the largest, {min(counts)} in the smallest. "
        f"Look at macro F1, not at accuracy; {advice}."
    )


def _about_size(prepared: Prepared) -> list[str]:
    found, counts = [], prepared.counts("test")
    if sum(counts) < SMALL_TEST:
        found.append(
            f"The test part has only {sum(counts)} texts: read the interval of a score, not the score. "
            "More labelled texts help most."
        )
    rare = [visible(name, 40) for name, n in zip(prepared.label_names, counts, strict=True) if n < SMALL_CLASS]
    if rare and len(rare) < len(counts):
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        found.append(f"Fewer than {SMALL_CLASS} test texts of {', '.join(rare[:5])}{more}: these scores are anecdotes.")
    return found
