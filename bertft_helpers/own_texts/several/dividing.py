"""Texts with several labels divided into parts so that each label is in every part, and not in all texts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.prepared import PARTS
from bertft_helpers.own_texts.sources import SMALLEST_CLASS, name_classes

__all__ = ["ATTEMPTS", "Targets", "divide_by_labels", "require_enough_texts", "small_labels"]

Targets = NDArray[np.bool_]  # [texts, labels]
ATTEMPTS = 50  # at drawing a division in which no part lacks a label


def small_labels(targets: Targets, names: Sequence[str]) -> dict[str, int]:
    """The labels of too few texts to be in every part, and how many they have."""
    return {name: int(n) for name, n in zip(names, targets.sum(axis=0), strict=True) if n < SMALLEST_CLASS}


def require_enough_texts(targets: Targets, names: Sequence[str]) -> None:
    """Raise UserError naming labels that too few texts have, or that too few are without, to be in every part."""
    if len(names) < 2:
        raise UserError(f"only {len(names)} labels have {SMALLEST_CLASS} different texts; at least two are needed")
    if small := small_labels(targets, names):
        raise UserError(
            f"too few different texts of {name_classes(small)}: each label needs at least {SMALLEST_CLASS}, one to "
            "train on, one to choose the threshold by, one to test on. Add such texts, join labels, or leave the "
            "labels out with --skip-small-classes."
        )
    if nearly_all := small_labels(~targets, names):
        raise UserError(
            f"too few different texts without {name_classes(nearly_all)}: a label that all texts have asks nothing, "
            f"and each needs at least {SMALLEST_CLASS} texts without it. Add such texts, or remove the label."
        )


def divide_by_labels(
    targets: Targets, names: Sequence[str], seed: int, validation: float, test: float
) -> dict[str, list[int]]:
    """The row numbers of each part, a function of targets and seed alone.

    Label by label, the rarest first, texts that have no part yet go where that label is missing most (after Sechidis et
    al. 2011, iterative stratification); a label that most texts have counts by those without it. Where a part ends
    without a label another order is drawn. Raises UserError naming the labels for which none was found.
    """
    rare = np.where(targets.mean(axis=0) > 0.5, ~targets, targets)
    missing: list[str] = []
    for attempt in range(ATTEMPTS):
        rows = _draw(rare, np.random.default_rng([seed, attempt]), {"test": test, "validation": validation})
        missing = [name for label, name in enumerate(names) if _is_missing(rare[:, label], rows)]
        if not missing:
            return rows
    raise UserError(
        f"no division has {', '.join(map(repr, missing[:5]))} in every part beside the other labels: add texts that "
        "have them, or leave these labels out"
    )


def _draw(rare: Targets, generator: np.random.Generator, shares: Mapping[str, float]) -> dict[str, list[int]]:
    part = np.full(len(rare), "", dtype="U10")
    for label in np.argsort(rare.sum(axis=0), kind="stable"):
        _fill(part, rare[:, label], generator, shares)
    _fill(part, np.full(len(rare), True), generator, shares)
    return {name: np.flatnonzero(part == name).tolist() for name in PARTS}


def _fill(part: NDArray[np.str_], chosen: Targets, generator: np.random.Generator, shares: Mapping[str, float]) -> None:
    """Give the ``chosen`` texts without a part one, so that of all chosen each part has its share, and at least one."""
    free = generator.permutation(np.flatnonzero(chosen & (part == "")))
    for name, share in shares.items():
        wanted = max(1, round(share * int(chosen.sum()))) - int((chosen & (part == name)).sum())
        part[free[: max(wanted, 0)]] = name
        free = free[max(wanted, 0) :]
    part[free] = "train"


def _is_missing(rare: Targets, rows: Mapping[str, list[int]]) -> bool:
    return any(rare[own].all() or not rare[own].any() for own in rows.values())
