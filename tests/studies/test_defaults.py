"""The study of what ``bertft train`` does by itself: what it trains, and the rule that decides by its rows."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from minimal import tiny_config
from transformers import BertForSequenceClassification

from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.settings import TaskSettings, plan
from bertft_helpers.studies import defaults, recipes
from bertft_helpers.studies.catalogue import find_study
from bertft_helpers.studies.defaults import (
    CHANGES,
    FIRST,
    STANDARD,
    TRIED,
    measure_defaults,
    patience_of,
    start_as_identity,
)
from bertft_helpers.studies.recipes import Recipe
from bertft_helpers.studies.winning import winning_change


@pytest.mark.parametrize("texts", [50, 100, 300])
def test_the_runs_are_planned_as_bertft_train_plans_them(texts: int) -> None:
    planned = plan(TaskSettings("texts.csv"), texts)
    steps = -(-texts // STANDARD.batch_size)
    assert planned.config.epochs == STANDARD.epochs
    assert planned.patience == patience_of(steps)
    assert TaskSettings("texts.csv").batch_size == STANDARD.batch_size
    for name in ("learning_rate", "weight_decay", "warmup_share"):
        assert getattr(planned, name) == getattr(STANDARD, name), name


def test_a_third_as_many_texts_choose_the_epoch_and_those_to_learn_from_are_the_other_studies_too() -> None:
    recipe = Recipe(per_class=10)
    learned, choosing = defaults._drawn(recipe, seed=3)
    assert learned.input_ids == recipes.training_examples(recipe, seed=3).input_ids
    assert np.bincount(learned.labels).tolist() == [10] * 5
    assert np.bincount(choosing.labels).tolist() == [3] * 5
    assert {*map(tuple, learned.input_ids)} & {*map(tuple, choosing.input_ids)} == set()


def test_a_pooler_started_as_the_identity_passes_on_what_it_reads() -> None:
    model = BertForSequenceClassification(tiny_config())
    start_as_identity(model)
    hidden = torch.randn(2, 3, model.config.hidden_size)  # [texts, tokens, width]
    assert torch.allclose(model.bert.pooler(hidden), torch.tanh(0.1 * hidden[:, 0]))
    assert all(parameter.requires_grad for parameter in model.bert.pooler.parameters())


def test_another_reading_is_refused() -> None:
    with pytest.raises(UserError, match="reading is 'sum'; choose pooler, mean or identity"):
        measure_defaults({"texts": "headlines", "per_class": 10, "reading": "sum"}, 0)


def test_every_change_is_tried_over_ten_seeds_against_what_was_done_before() -> None:
    study = find_study("defaults")
    assert list(study.seeds) == list(range(10))
    for change, sizes in TRIED.items():
        for texts, size in sizes:
            before = {"texts": texts, "per_class": size, **FIRST}
            assert before in study.cells
            assert {**before, **CHANGES[change]} in study.cells


def planted(gains: dict[tuple[str, str, int], float]) -> pd.DataFrame:
    """Rows in which a change gains so much for a task and number of texts of each class, and nothing elsewhere."""
    changes = {str({**FIRST, **way}): change for change, way in CHANGES.items()}
    noise, rows = np.random.default_rng(0).normal(0, 0.001, size=10), []
    for cell, seed in itertools.product(find_study("defaults").cells, range(10)):
        change = changes.get(str({name: cell[name] for name in FIRST}))
        gain = noise[seed] + gains.get((change, cell["texts"], cell["per_class"]), 0.0) if change else 0.0
        rows.append({**cell, "seed": seed, "accuracy": 0.7 + gain})
    return pd.DataFrame(rows)


STEPS, IDENTICAL = "100 steps at least", "pooler started as the identity"
FEWEST = {(STEPS, "headlines", 5): 0.03, (STEPS, "lead or later", 12): 0.03}


@pytest.mark.parametrize(
    ("gains", "change"),
    [
        ({}, {}),
        (FEWEST, {"least_steps": 100}),
        ({(STEPS, "headlines", 5): 0.03}, {}),  # on one task only
        ({**FEWEST, (STEPS, "headlines", 10): -0.03}, {}),  # harms with more texts
        ({("mean of the last layer", "headlines", 10): 0.03}, {}),  # the other task was not tried
    ],
)
def test_a_change_holds_that_is_above_for_the_fewest_texts_of_each_task_and_below_nowhere(
    gains: dict, change: dict
) -> None:
    assert winning_change(planted(gains)) == change


def test_of_several_changes_that_hold_the_one_that_gains_most_is_taken() -> None:
    identity = dict.fromkeys([(IDENTICAL, "headlines", 10), (IDENTICAL, "lead or later", 25)], 0.05)
    assert winning_change(planted({**FEWEST, **identity})) == {"reading": "identity"}
