"""The studies behind lessons 18, 25 to 29, A1, the quick ways to train and what ``bertft train`` does by itself."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Iterable, Mapping
from importlib.resources import as_file, files
from typing import Any, cast

import numpy as np
import pandas as pd

from bertft_helpers.batching import EncodedTexts, make_loader, set_epoch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.runtime import quiet_libraries
from bertft_helpers.speed.vocabulary import compact_vocabulary, restore_vocabulary
from bertft_helpers.studies import defaults, pretraining, recipes
from bertft_helpers.studies.experiments import Cell, Study, grid
from bertft_helpers.studies.recipes import FROZEN, MEASUREMENTS, Recipe
from bertft_helpers.studies.rows import load_rows
from bertft_helpers.studies.ways import WAY
from bertft_helpers.training import train_epoch

__all__ = [
    "HEAD_RATE",
    "LONGEST",
    "NEVER",
    "SEEDS",
    "STOPPING_MEASUREMENTS",
    "STUDIES",
    "find_study",
    "measure_stopping",
    "stopping_curve",
    "stored_results",
]

SEEDS = range(10)
HEAD_RATE = 1e-2  # what a head alone needs to learn in so few steps


def _study(name: str, cells: Iterable[Cell]) -> Study:
    settings = {field: value for field, value in vars(Recipe()).items() if field not in next(iter(cells))}
    return Study(name, list(cells), SEEDS, recipes.measure, MEASUREMENTS, settings)


def _freezing() -> Study:
    cells = [
        {"frozen": frozen, "head_learning_rate": HEAD_RATE if frozen == "all but the head" else 2e-4}
        for frozen in [*FROZEN, "features"]
    ]
    return _study("freezing", cells)


def _learning_rates() -> Study:
    base = {"learning_rate": 1e-4, "head_learning_rate": 1e-4, "layer_decay": 1.0, "warmup_share": 0.1, "per_class": 60}
    rates = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    cells = [
        *grid(learning_rate=rates, head_learning_rate=(1e-4, 1e-3, 1e-2)),
        *grid(learning_rate=(3e-4,), head_learning_rate=(1e-3,), layer_decay=(0.9, 0.8)),
        *grid(learning_rate=(1e-4, 3e-4, 1e-3), head_learning_rate=(1e-3,), warmup_share=(0.0,)),
        *grid(learning_rate=rates, head_learning_rate=(1e-3,), per_class=(15,)),
    ]
    return _study("learning_rates", [{**base, **cell} for cell in cells])


def _batch_sizes() -> Study:
    """At equal epochs and at equal steps; the rate fixed, scaled with the batch size, or with its root."""
    start, sizes = 2e-4, (4, 8, 16, 32, 64)
    scalings = {"fixed": 0.0, "root": 0.5, "linear": 1.0}
    cells = []
    equal_epochs, equal_steps = None, 39  # three epochs at batch 16 make 39 steps
    for max_steps, (scaling, power), size in itertools.product((equal_epochs, equal_steps), scalings.items(), sizes):
        if size == 16 and (scaling != "fixed" or max_steps is equal_steps):
            continue  # the point at which all of them agree
        rate = start * (size / 16) ** power
        cells.append({"batch_size": size, "learning_rate": rate, "max_steps": max_steps, "per_class": 40})
    return _study("batch_sizes", cells)


def _small_data() -> Study:
    base = {
        **{"per_class": 0, "epochs": 5, "frozen": "nothing", "reinitialised": 0},
        **{"label_smoothing": 0.0, "dropout": 0.1},
    }
    methods: list[dict[str, Any]] = [
        {"frozen": "features"},
        {},
        {"epochs": 15},
        {"frozen": "3 layers"},
        {"reinitialised": 1},
        {"label_smoothing": 0.1},
        {"dropout": 0.0},
    ]
    cells = [{**base, **method, "per_class": size} for size in (5, 10, 20, 40, 80) for method in methods]
    cells += [{**base, "per_class": size, "frozen": "features, tuned"} for size in (5, 10, 20, 40, 80)]
    cells += [{**base, "per_class": size, "frozen": "3 layers", "epochs": 15} for size in (5, 10, 20)]
    return _study("small_data", cells)


def _texts_or_steps() -> Study:
    """A quarter of the headlines for as many steps: is it the texts or the steps that move the best rate?"""
    rates = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    return _study(
        "texts_or_steps", grid(learning_rate=rates, head_learning_rate=(1e-3,), per_class=(15,), max_steps=(57,))
    )


def _second_look() -> Study:
    """The main contrasts of lessons 25, 26 and 28 on other headlines, and on another task."""
    cells = []
    for texts, usual, few in (("headlines drawn again", 60, 10), ("lead or later", 150, 25)):
        base = {"texts": texts, "per_class": usual, "epochs": 3, "frozen": "nothing", "learning_rate": 2e-4}
        cells += [{**base, "frozen": frozen} for frozen in ("nothing", "4 layers", "6 layers", "features, tuned")]
        cells += [{**base, "learning_rate": rate} for rate in (1e-5, 1e-3, 3e-3)]
        cells += [{**base, "per_class": few}, {**base, "per_class": few, "epochs": 15}]
        cells += [{**base, "per_class": few, "frozen": "features, tuned"}]
    quick: dict[str, Any] = {
        "precision": "bfloat16",
        "masks": "bytes",
    }  # as the rows were made; ``quick_training`` compares the ways
    study = _study("second_look", cells)
    measure = functools.partial(recipes.measure, **quick)
    return dataclasses.replace(study, settings={**study.settings, **quick}, measure=measure)


def _bias_correction() -> Study:
    return _study("bias_correction", grid(bias_correction=(True, False), learning_rate=(1e-4, 3e-4, 1e-3)))


STOPPING_MEASUREMENTS = (
    "stopped_after",
    "best_epoch",
    "chosen_accuracy",
    "fresh_accuracy",
    "last_accuracy",
    "seconds",
    "failed",
)
LONGEST = 15  # epochs
NEVER = LONGEST  # a patience that never runs out


def _quick_training() -> Study:
    """The exact way, dropout drawn as bytes, and that in 16 bits: are the models as good?"""
    ways = [("float32", "torch", False), ("bfloat16", "bytes", True), ("float32", "bytes", True)]
    return _study("quick_training", [dict(zip(WAY, way, strict=True)) for way in ways])


def _short_plan() -> Study:
    """Three planned epochs on wrong labels, for lesson 29; on right ones they are ``freezing``'s "nothing"."""
    return _study("short_plan", grid(flipped=(0.2,), epochs=(3,)))


def _early_stopping() -> Study:
    cells = grid(flipped=(0.0, 0.2), patience=(1, 2, 3, 5, NEVER))
    settings = {**vars(Recipe()), "longest": LONGEST, "monitor": "accuracy on one half of the validation headlines"}
    return Study("early_stopping", cells, SEEDS, measure_stopping, STOPPING_MEASUREMENTS, settings, version=2)


def measure_stopping(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    """Where a patience ends a run and what it picks: the accuracy it chose by, and that on the other half.

    ``last_accuracy`` is what the other half gives the weights of the last epoch: nothing picked, only stopped.

    ``way`` changes settings of all runs (``studies.ways``).
    """
    unknown = sorted(set(factors) - {"flipped", "patience"})
    if unknown:
        raise UserError(f"unknown factor {', '.join(unknown)}; the factors are flipped, patience")
    rows = stopping_curve(factors["flipped"], seed, **way)
    best, waited = 0, 0
    for epoch, row in enumerate(rows):
        if epoch and row["chosen_accuracy"] <= rows[best]["chosen_accuracy"]:
            waited += 1
        else:
            best, waited = epoch, 0
        if waited >= factors["patience"]:
            break
    return {
        "stopped_after": epoch + 1,
        "best_epoch": best + 1,
        "chosen_accuracy": rows[best]["chosen_accuracy"],
        "fresh_accuracy": rows[best]["fresh_accuracy"],
        "last_accuracy": rows[epoch]["fresh_accuracy"],
        "seconds": round(sum(row["seconds"] for row in rows[: epoch + 1]), 2),
        "failed": rows[best]["fresh_accuracy"] < 0.25,
    }


@functools.cache
def stopping_curve(flipped: float, seed: int, **way: Any) -> list[dict[str, float]]:
    """Epoch by epoch: training loss, and accuracy on the half that chooses and on the half that stays fresh.

    All patience values read one curve, because stopping changes nothing in the epochs before it.
    """
    quiet_libraries()
    recipe = Recipe(flipped=flipped, epochs=LONGEST, **way)
    model, loader = recipes.build_run(recipe, seed)
    chooser, fresh = (make_loader(half, 64) for half in _halves(recipes.headlines()["validation"]))
    compact = compact_vocabulary(model, cast(EncodedTexts, loader.dataset).input_ids)
    optimizer, schedule = recipes.optimizer_and_schedule(model, recipe, LONGEST * len(loader))
    compact.follow(optimizer)
    config = TrainConfig(precision=recipe.precision)
    rows = []
    for epoch in range(LONGEST):
        set_epoch(loader, epoch)
        start = time.process_time()
        steps = train_epoch(model, loader, optimizer, schedule, config)
        seconds = time.process_time() - start
        rows.append(
            {
                "train_loss": sum(step.loss_sum for step in steps) / sum(step.targets for step in steps),
                "chosen_accuracy": evaluate(model, chooser).accuracy,
                "fresh_accuracy": evaluate(model, fresh).accuracy,
                "seconds": seconds,
            }
        )
    restore_vocabulary(model)
    return rows


def _halves(examples: EncodedTexts) -> tuple[EncodedTexts, EncodedTexts]:
    rows = np.random.default_rng(0).permutation(len(examples))
    middle = len(rows) // 2
    chooser, fresh = (
        EncodedTexts([examples.input_ids[row] for row in half], [examples.labels[row] for row in half], examples.pad_id)
        for half in (rows[:middle], rows[middle:])
    )
    return chooser, fresh


def _pretraining() -> Study:
    """Steps on masked words before 100 headlines get their desks, for lesson A1: ten seeds, the quick way."""
    quick: dict[str, Any] = {"precision": "bfloat16", "masks": "bytes", "first_token": True}
    settings = {**vars(pretraining.DESKS), **vars(pretraining.WORDS), **quick}
    measure = functools.partial(pretraining.measure_pretraining, **quick)
    cells = grid(pretraining_steps=(0, 150))
    return Study("pretraining", cells, range(10), measure, pretraining.MEASUREMENTS, settings)


def _defaults() -> Study:
    """What ``bertft train`` does by itself against changes of it, for few texts and more, on two tasks."""
    quick = {"precision": "bfloat16", "masks": "bytes", "first_token": False}  # a mean needs all tokens
    return _study_of_defaults("defaults", _cells_of(defaults.TRIED, defaults.FIRST), quick)


def _further_defaults() -> Study:
    """The same with more texts, and with class weights where classes are uneven."""
    quick = {"precision": "float32", "masks": "bytes", "first_token": True}
    first = {"uneven": False, "reading": defaults.POOLER, "class_weights": False}
    cells = _cells_of(defaults.FURTHER, first)
    for (texts, size), changed in itertools.product(defaults.UNEVEN, ({}, defaults.CLASS_WEIGHTS)):
        cells.append({"texts": texts, "per_class": size, **first, "uneven": True, **changed})
    return _study_of_defaults("further_defaults", cells, quick, smallest=defaults.SMALLEST)


def _cells_of(tried: Mapping[str, Iterable[tuple[str, int | None]]], first: Cell) -> list[dict[str, Any]]:
    """What was done before and each change of it; several changes share what they are compared with."""
    cells: list[dict[str, Any]] = []
    for change, sizes in tried.items():
        for (texts, size), changed in itertools.product(sizes, ({}, defaults.CHANGES[change])):
            cell = {"texts": texts, "per_class": size, **first, **changed}
            if cell not in cells:
                cells.append(cell)
    return cells


def _study_of_defaults(name: str, cells: list[dict[str, Any]], quick: dict[str, Any], **more: Any) -> Study:
    settings = {field: value for field, value in vars(defaults.STANDARD).items() if field not in cells[0]} | quick
    settings |= {"patience_epochs": defaults.PATIENCE_EPOCHS, "patience_steps": defaults.PATIENCE_STEPS}
    settings |= {"identity_scale": defaults.IDENTITY_SCALE, "chosen_by": "a third as many other texts"} | more
    measure = functools.partial(defaults.measure_defaults, **quick)
    return Study(name, cells, SEEDS, measure, defaults.MEASUREMENTS, settings)


STUDIES = {
    study.name: study
    for study in (
        _bias_correction(),
        _freezing(),
        _learning_rates(),
        _batch_sizes(),
        _small_data(),
        _early_stopping(),
        _short_plan(),
        _texts_or_steps(),
        _second_look(),
        _quick_training(),
        _pretraining(),
        _defaults(),
        _further_defaults(),
    )
}


def stored_results(name: str) -> pd.DataFrame:
    """All rows of a committed study, which travels with the package. Raises ValueError listing the studies."""
    with as_file(files("bertft_helpers.study_results") / f"{find_study(name).name}.csv") as path:
        return load_rows(path)


def find_study(name: str) -> Study:
    """A study by name. Raises ValueError listing the studies."""
    if name not in STUDIES:
        raise UserError(f"no study {name!r}; there are {', '.join(STUDIES)}")
    return STUDIES[name]
