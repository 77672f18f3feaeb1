"""The contrasts that each study was made for, named before looking: what lessons 25 to 30 may say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from bertft_helpers.errors import UserError
from bertft_helpers.studies.catalogue import NEVER, stored_results
from bertft_helpers.studies.defaults import CHANGES, CLASS_WEIGHTS, FIRST, FURTHER, POOLER, SMALLEST, TRIED, UNEVEN
from bertft_helpers.studies.experiments import Cell
from bertft_helpers.studies.pretraining import by_reader
from bertft_helpers.studies.recipes import DEPTHS
from bertft_helpers.studies.summaries import Difference, TooFewPairs, Verdict, compare, judge

__all__ = ["FAMILIES", "Contrast", "Family", "by_weights_kept", "find_family", "told", "verdicts_of"]

_MATTERS = 0.02  # accuracy: about what another seed changes, and what nobody would change a recipe for
_LABELS = {0.0: "clean labels", 0.2: "flipped labels"}


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Two cells of a study by the names that a sentence gives them: is ``first`` above ``second``?"""

    first: str
    second: str
    one: Cell
    other: Cell


@dataclasses.dataclass(frozen=True)
class Family:
    """Contrasts of one study that are judged together, and the smallest difference in ``value`` that matters."""

    name: str
    study: str
    contrasts: tuple[Contrast, ...]
    value: str = "accuracy"
    same_within: float = _MATTERS
    reshape: Callable[[pd.DataFrame], pd.DataFrame] | None = None  # of the study's rows, before cells are looked up


def _freezing() -> Family:
    names = {"embeddings": "embeddings frozen", "1 layers": "1 layer frozen"}
    names |= {depth: f"{depth} frozen" for depth in DEPTHS[1:]}
    names |= {"all but the head": "head alone", "gradual": "gradual", "features": "logistic regression"}
    against = {"frozen": "nothing"}
    return Family(
        "freezing",
        "freezing",
        tuple(Contrast(name, "nothing frozen", {"frozen": frozen}, against) for frozen, name in names.items()),
    )


def _learning_rates() -> Family:
    """What the rates, the layers' decay and the warm-up change, each alone, from one middle cell."""
    middle = {"learning_rate": 3e-4, "head_learning_rate": 1e-3, "per_class": 60, "layer_decay": 1.0}
    middle |= {"warmup_share": 0.1}
    contrasts = [
        Contrast(f"encoder {rate:.0e}", "encoder 3e-04", {**middle, "learning_rate": rate}, middle)
        for rate in (1e-5, 3e-5, 1e-4, 1e-3, 3e-3)
    ]
    contrasts += [
        Contrast(f"head {rate:.0e}", "head 1e-03", {**middle, "head_learning_rate": rate}, middle)
        for rate in (1e-4, 1e-2)
    ]
    contrasts += [
        Contrast(f"decay {decay}", "no decay", {**middle, "layer_decay": decay}, middle) for decay in (0.9, 0.8)
    ]
    for rate in (1e-4, 3e-4, 1e-3):
        cell = {**middle, "learning_rate": rate}
        contrasts.append(Contrast(f"warm-up at {rate:.0e}", f"none at {rate:.0e}", cell, {**cell, "warmup_share": 0.0}))
    return Family("learning_rates", "learning_rates", tuple(contrasts))


def _few_headlines() -> Family:
    """With 15 headlines per desk and 15 steps: each encoder rate against 3e-4."""
    cell = {"head_learning_rate": 1e-3, "per_class": 15, "layer_decay": 1.0, "warmup_share": 0.1}
    return Family("few_headlines", "learning_rates", _against_middle_rate(cell, "15 per desk, 15 steps"))


def _texts_or_steps() -> Family:
    """With 15 headlines per desk and the 57 steps of 60 per desk: each encoder rate against 3e-4."""
    return Family("texts_or_steps", "texts_or_steps", _against_middle_rate({}, "15 per desk, 57 steps"))


def _against_middle_rate(cell: Cell, where: str) -> tuple[Contrast, ...]:
    return tuple(
        Contrast(
            f"{where}: encoder {rate:.0e}",
            "encoder 3e-04",
            {**cell, "learning_rate": rate},
            {**cell, "learning_rate": 3e-4},
        )
        for rate in (1e-5, 3e-5, 1e-4, 1e-3, 3e-3)
    )


def _batch_sizes(name: str, value: str, same_within: float) -> Family:
    """Every batch size, budget and scaling of the rate against batch 16 for three epochs."""
    start, budgets = 2e-4, {"epochs": None, "steps": 39}
    middle = {"batch_size": 16, "learning_rate": start, "max_steps": None}
    contrasts = []
    for budget, max_steps in budgets.items():
        for scaling, power in {"fixed": 0.0, "root": 0.5, "linear": 1.0}.items():
            for size in (4, 8, 32, 64):
                rate = start * (size / 16) ** power
                cell = {"batch_size": size, "learning_rate": rate, "max_steps": max_steps}
                contrasts.append(Contrast(f"batch {size}, equal {budget}, rate {scaling}", "batch 16", cell, middle))
    return Family(name, "batch_sizes", tuple(contrasts), value, same_within)


def _small_data() -> Family:
    """Each change of the recipe against the standard one, for each number of headlines."""
    standard = {"epochs": 5, "frozen": "nothing", "reinitialised": 0, "label_smoothing": 0.0, "dropout": 0.1}
    changes: dict[str, Cell] = {
        "longer": {"epochs": 15},
        "3 layers frozen": {"frozen": "3 layers"},
        "new top layer": {"reinitialised": 1},
        "label smoothing": {"label_smoothing": 0.1},
        "no dropout": {"dropout": 0.0},
    }
    return Family("small_data", "small_data", _by_size(standard, changes, (5, 10, 20, 40, 80), "standard"))


def _frozen_and_longer() -> Family:
    """Are frozen layers only slow? With fifteen epochs, three frozen layers against none."""
    longer = {"epochs": 15, "frozen": "nothing", "reinitialised": 0, "label_smoothing": 0.0, "dropout": 0.1}
    changes = {"3 layers frozen, longer": {"frozen": "3 layers"}}
    return Family("frozen_and_longer", "small_data", _by_size(longer, changes, (5, 10, 20), "longer"))


def _small_data_baseline() -> Family:
    """The standard recipe and the longer one against logistic regression on frozen features with a tuned penalty."""
    baseline = {"epochs": 5, "frozen": "features, tuned", "reinitialised": 0, "label_smoothing": 0.0, "dropout": 0.1}
    changes: dict[str, Cell] = {
        "standard": {"frozen": "nothing"},
        "longer": {"frozen": "nothing", "epochs": 15},
    }
    sizes = (5, 10, 20, 40, 80)
    return Family("small_data_baseline", "small_data", _by_size(baseline, changes, sizes, "tuned logistic regression"))


def _by_size(base: Cell, changes: Mapping[str, Cell], sizes: tuple[int, ...], name: str) -> tuple[Contrast, ...]:
    return tuple(
        Contrast(f"{size} per desk: {change}", name, {**base, **values, "per_class": size}, {**base, "per_class": size})
        for size in sizes
        for change, values in changes.items()
    )


def _early_stopping() -> Family:
    """What picking the best epoch buys against the last one's weights, and what stopping early costs or buys."""
    contrasts = []
    for flipped, labels in _LABELS.items():
        best, last = ({"flipped": flipped, "patience": NEVER, "kept": kept} for kept in ("best", "last"))
        contrasts.append(Contrast(f"{labels}: the best of fifteen", "the last of fifteen", best, last))
        for patience in (1, 2, 3):
            stopped = {**best, "patience": patience}
            name = f"{labels}: patience {patience}"
            contrasts.append(Contrast(name, "the last of fifteen", stopped, last))
            contrasts.append(Contrast(name, "the best of fifteen", stopped, best))
    return Family("early_stopping", "early_stopping", tuple(contrasts), reshape=by_weights_kept)


def by_weights_kept(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``early_stopping``, one for the best epoch's weights and one for the last's, with their accuracy."""
    columns = {"best": "fresh_accuracy", "last": "last_accuracy"}
    return pd.concat(
        [rows.assign(kept=kept, accuracy=rows[column]) for kept, column in columns.items()], ignore_index=True
    )


def _second_look(texts: str, usual: int, few: int) -> Family:
    """The main contrasts of lessons 25, 26 and 28 on other texts."""
    base = {"texts": texts, "per_class": usual, "epochs": 3, "frozen": "nothing", "learning_rate": 2e-4}
    against: dict[str, Cell] = {
        "4 layers frozen": {"frozen": "4 layers"},
        "6 layers frozen": {"frozen": "6 layers"},
        "tuned logistic regression": {"frozen": "features, tuned"},
        "encoder 1e-05": {"learning_rate": 1e-5},
        "encoder 1e-03": {"learning_rate": 1e-3},
        "encoder 3e-03": {"learning_rate": 3e-3},
    }
    of_few: dict[str, Cell] = {"longer": {"epochs": 15}, "tuned logistic regression": {"frozen": "features, tuned"}}
    contrasts = [Contrast(f"{texts}: {name}", "standard", {**base, **change}, base) for name, change in against.items()]
    contrasts += [
        Contrast(
            f"{texts}, {few} per class: {name}",
            "standard",
            {**base, **change, "per_class": few},
            {**base, "per_class": few},
        )
        for name, change in of_few.items()
    ]
    return Family(texts, "second_look", tuple(contrasts))


def _quick_training() -> Family:
    """Are models that were trained quicker as good as those of the exact way?"""
    ways = {"bfloat16, dropout drawn as bytes": "bfloat16", "float32, dropout drawn as bytes": "float32"}
    contrasts = [
        Contrast(name, "the exact way", {"precision": precision, "masks": "bytes"}, {"masks": "torch"})
        for name, precision in ways.items()
    ]
    return Family("quick_training", "quick_training", tuple(contrasts))


def _pretraining() -> Family:
    """With 100 headlines: masked words of the news first, against the checkpoint as it is, for two ways to read it."""
    contrasts = [
        Contrast(
            f"{reader}, masked words first",
            "the checkpoint as it is",
            {"reader": reader, "pretraining_steps": 150},
            {"reader": reader, "pretraining_steps": 0},
        )
        for reader in ("fine-tuned", "features")
    ]
    return Family("pretraining", "pretraining", tuple(contrasts), reshape=by_reader)


def _changes(name: str, tried: Mapping[str, Iterable[tuple[str, int | None]]], before: Cell) -> Family:
    """Each change of what ``bertft train`` did against it, for each number of texts that it was tried with."""
    contrasts = [
        Contrast(
            f"{texts}, {'all' if size is None else f'{size} per class'}: {change}",
            "as before",
            {"texts": texts, "per_class": size, **before, **CHANGES[change]},
            {"texts": texts, "per_class": size, **before},
        )
        for change, sizes in tried.items()
        for texts, size in sizes
    ]
    return Family(name, name, tuple(contrasts))


def _class_weights() -> Family:
    """Where classes are uneven: a loss that counts rare ones more, by the mean of the classes' F1."""
    contrasts = [
        Contrast(
            f"{texts}, {size} to {round(size * SMALLEST)} per class: class weights",
            "as before",
            {"texts": texts, "per_class": size, "uneven": True, **CLASS_WEIGHTS},
            {"texts": texts, "per_class": size, "uneven": True, "class_weights": False},
        )
        for texts, size in UNEVEN
    ]
    return Family("class_weights", "further_defaults", tuple(contrasts), "macro_f1")


FAMILIES = {
    family.name: family
    for family in (
        _freezing(),
        _learning_rates(),
        _few_headlines(),
        _texts_or_steps(),
        _batch_sizes("batch_sizes", "accuracy", _MATTERS),
        _batch_sizes("batch_sizes_loss", "loss", 0.05),
        _small_data(),
        _frozen_and_longer(),
        _small_data_baseline(),
        _early_stopping(),
        _second_look("headlines drawn again", 60, 10),
        _second_look("lead or later", 150, 25),
        _quick_training(),
        _pretraining(),
        _changes("defaults", TRIED, FIRST),
        _changes("further_defaults", FURTHER, {"uneven": False, "reading": POOLER}),
        _class_weights(),
    )
}


def find_family(name: str) -> Family:
    """A family by name. Raises ValueError listing the families."""
    if name not in FAMILIES:
        raise UserError(f"no family {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def verdicts_of(name: str, rows: pd.DataFrame | None = None) -> list[Verdict]:
    """The verdicts on a family, from the committed rows of its study unless others are given.

    Raises ValueError for an unknown name and for a cell that no run has, TooFewPairs where too many runs raised.
    """
    family = find_family(name)
    rows = _prepared(family, stored_results(family.study) if rows is None else rows)
    return judge({_names(own): _difference(own, family, rows) for own in family.contrasts}, family.same_within)


def told(name: str, rows: pd.DataFrame) -> list[str]:
    """The verdicts in words, then the contrasts of which too many runs raised; these are no part of the family."""
    family = find_family(name)
    rows, judged, left = _prepared(family, rows), {}, []
    for contrast in family.contrasts:
        try:
            judged[_names(contrast)] = _difference(contrast, family, rows)
        except TooFewPairs as error:
            left.append(f"{contrast.first} against {contrast.second}: {error}")
    return [*map(str, judge(judged, family.same_within)), *left]


def _prepared(family: Family, rows: pd.DataFrame) -> pd.DataFrame:
    return rows if family.reshape is None else family.reshape(rows)


def _names(contrast: Contrast) -> tuple[str, str]:
    return contrast.first, contrast.second


def _difference(contrast: Contrast, family: Family, rows: pd.DataFrame) -> Difference:
    return compare(rows, contrast.one, contrast.other, family.value)
