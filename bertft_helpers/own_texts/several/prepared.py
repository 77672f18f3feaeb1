"""Texts with several labels made ready for a run, and what is to be said about them before training."""

from __future__ import annotations

import dataclasses

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from bertft_helpers.batching import EncodedTexts
from bertft_helpers.own_texts.prepared import (
    PARTS,
    SMALL_CLASS,
    SMALL_TEST,
    Prepared,
    about_language,
    about_length,
    divide,
    read_once,
)
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.several.dividing import (
    Targets,
    divide_by_labels,
    require_enough_texts,
    small_labels,
)
from bertft_helpers.own_texts.several.sources import set_names
from bertft_helpers.own_texts.sources import digest_of, name_classes
from bertft_helpers.own_texts.whole_texts import windows_for
from bertft_helpers.reading.labels import order_names
from bertft_helpers.several_labels import label_rows
from bertft_helpers.tables import visible

__all__ = ["PreparedSeveral", "prepare_several", "targets_of", "warnings_about_several"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedSeveral(Prepared):
    """Texts of which each has any number of labels; ``examples`` have a 0 or 1 for each of ``names``."""

    names: list[str]

    @property
    def label_names(self) -> list[str]:
        """The labels, in the order of the logits."""
        return self.names

    @property
    def described(self) -> str:
        """How many labels there are, and how many a text has."""
        counts = np.concatenate([targets_of(self, part).sum(axis=1) for part in PARTS])
        without = f", and none for {int((counts == 0).sum())} texts" if (counts == 0).any() else ""
        return f"with {len(self.names)} labels ({counts.mean():.1f} for a text on average{without})"

    def counts(self, part: str) -> list[int]:
        """How many texts of a part have each label."""
        return targets_of(self, part).sum(axis=0).tolist()


def targets_of(prepared: Prepared, part: str) -> Targets:
    """Which labels the texts of a part have, ``[texts, labels]``."""
    return np.array(prepared.examples[part].labels, dtype=bool)


def prepare_several(
    settings: TaskSettings, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> PreparedSeveral:
    """Clean, encode, remove what is read alike, divide so that every label is in every part, and cut.

    A label of too few texts is taken away from them with ``skip_small_classes``; else it raises UserError.
    """
    windows = windows_for(settings, max_length)
    kept, ids, removed = read_once(dataset, tokenizer, windows)
    removed["reason"] = removed["reason"].replace("two labels", "different labels for one text")
    lists = set_names(kept)
    names = order_names(name for own in lists for name in own)
    targets = np.array(label_rows(lists, names), dtype=bool)
    left_out = small_labels(targets, names) if settings.skip_small_classes else {}
    targets = targets[:, [name not in left_out for name in names]]
    names = [name for name in names if name not in left_out]
    require_enough_texts(targets, names)
    rows = divide_by_labels(targets, names, settings.seed, settings.validation, settings.test)
    divided = divide(kept, ids, rows, tokenizer, max_length, settings.policy, windows)
    divided["examples"] = {
        part: EncodedTexts(own.input_ids, targets[rows[part]].astype(int).tolist(), own.pad_id)
        for part, own in divided["examples"].items()
    }
    digest = digest_of(dataset)
    return PreparedSeveral(**divided, removed=removed, digest=digest, left_out=left_out, names=names)


def warnings_about_several(prepared: Prepared, max_length: int, settings: TaskSettings) -> list[str]:
    """What a reader of the scores must know about the texts, one sentence or two each."""
    found = [about_language(prepared), about_length(prepared, max_length, settings.policy)]
    return [*filter(None, [_about_left_out(prepared), *found]), *_about_size(prepared)]


def _about_left_out(prepared: Prepared) -> str:
    if not prepared.left_out:
        return ""
    named = name_classes(prepared.left_out).replace(" more classes", " more labels")
    return f"Left out as asked, with too few different texts: {named}. Their texts stay, without these labels."


def _about_size(prepared: Prepared) -> list[str]:
    found, tested = [], len(prepared.examples["test"])
    if tested < SMALL_TEST:
        found.append(
            f"The test part has only {tested} texts: read the interval of a score, not the score. "
            "More labelled texts help most."
        )
    counts = {part: prepared.counts(part) for part in ("validation", "test")}
    rare = [name for name, *n in zip(prepared.label_names, *counts.values(), strict=True) if min(n) < SMALL_CLASS]
    if rare and len(rare) < len(prepared.label_names):
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        found.append(
            f"Fewer than {SMALL_CLASS} validation or test texts have {', '.join(visible(one, 40) for one in rare[:5])}"
            f"{more}: their thresholds and scores are anecdotes."
        )
    return found
