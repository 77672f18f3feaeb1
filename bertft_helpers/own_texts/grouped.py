"""Texts divided with their groups kept together: what one story, author or customer wrote is in one part."""

from __future__ import annotations

import numpy as np
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray

from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.sources import GROUP, name_classes, require_enough, require_shares

__all__ = ["DRAWS", "about_groups", "rows_by_group"]

DRAWS = 50  # divisions that are tried before none is said to be possible
_RESERVED = {"test": 2, "validation": 1}  # groups of every class that a part leaves to the parts after it

_Counts = NDArray[np.int_]  # [groups, classes]: the texts that a group has of a class


def rows_by_group(dataset: Dataset, seed: int, validation: float, test: float) -> dict[str, list[int]]:
    """The row numbers of each part: no group is in two parts, and every class is in each, with about its share of all.

    A function of rows and seed alone. Raises UserError for shares that leave nothing to train on, for a class of fewer
    than three groups, and where no division was found.
    """
    require_shares(validation, test)
    require_enough(dataset)
    labels = np.array(list(dataset["label"]), dtype=int)
    _, groups = np.unique(np.array(list(dataset[GROUP]), dtype=int), return_inverse=True)
    counts = np.zeros((groups.max() + 1, labels.max() + 1), dtype=int)
    np.add.at(counts, (groups, labels), 1)
    for draw in range(DRAWS):
        part = _draw(counts, np.random.default_rng([seed, draw]), {"test": test, "validation": validation})
        if all(counts[part == name].any(axis=0).all() for name in ("train", "validation", "test")):
            return {name: np.flatnonzero(part[groups] == name).tolist() for name in ("train", "validation", "test")}
    having = dict(zip(dataset.features["label"].names, (counts > 0).sum(axis=0).tolist(), strict=True))
    fewest = dict(sorted(having.items(), key=lambda item: item[1])[:3])
    raise UserError(
        f"no division was found ({DRAWS} drawn) that keeps groups together and has every class in all three parts; "
        f"the fewest groups have {name_classes(fewest)}. Add texts of other groups, join classes, or leave out --group."
    )


def _draw(counts: _Counts, generator: np.random.Generator, shares: dict[str, float]) -> NDArray[np.str_]:
    """The part of each group, ``[groups]``: class by class, the one of the fewest groups first."""
    part = np.full(len(counts), "train", dtype="U10")
    for label in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        for name, share in shares.items():
            free = generator.permutation(np.flatnonzero((part == "train") & (counts[:, label] > 0)))
            wanted = share * counts.sum(axis=0) - counts[part == name].sum(axis=0)
            chosen = _nearest(counts[free], wanted, label)[: max(0, len(free) - _RESERVED[name])]
            if not chosen and not counts[part == name, label].any() and len(free):
                chosen = [int(counts[free].sum(axis=1).argmin())]  # all are too large: the smallest
            part[free[chosen]] = name
    return part


def _nearest(counts: _Counts, wanted: NDArray[np.float64], label: int) -> list[int]:
    """The places of groups that, one after the other, bring a part nearer to the texts ``wanted`` of each class."""
    chosen = []
    for place, own in enumerate(counts):
        if wanted[label] <= 0:
            break
        if np.abs(wanted - own).sum() < np.abs(wanted).sum():
            chosen.append(place)
            wanted = wanted - own
    return chosen


def about_groups(parts: DatasetDict) -> str:
    """A sentence on the groups of each part, also where they keep nothing together; empty for texts without groups."""
    if GROUP not in parts["train"].column_names:
        return ""
    counts = {name: len(set(part[GROUP])) for name, part in parts.items()}
    if sum(counts.values()) == sum(map(len, parts.values())):
        return "Every text has a group of its own, so --group keeps nothing together: is that the right column?"
    told = f"{counts['train']} to train on, {counts['validation']} to choose the epoch by, {counts['test']} to test on"
    return f"No group is in two parts ({told}): the scores are for texts of groups that training has not seen."
