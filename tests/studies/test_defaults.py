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
from bertft_helpers.studies.defaults import POOLER, READINGS, STANDARD, measure_defaults, patience_of, start_as_identity
from bertft_helpers.studies.recipes import Recipe
from bertft_helpers.studies.winning import FEWEST, winning_reading


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
    start_as_identity(model, scale=0.1)
    hidden = torch.randn(2, 3, model.config.hidden_size)  # [texts, tokens, width]
    assert torch.allclose(model.bert.pooler(hidden), torch.tanh(0.1 * hidden[:, 0]))
    assert all(parameter.requires_grad for parameter in model.bert.pooler.parameters())


def test_another_reading_is_refused() -> None:
    with pytest.raises(UserError, match="reading is 'sum'; choose one of pooler, mean, identity"):
        measure_defaults({"texts": "headlines", "per_class": 10, "reading": "sum"}, 0)


def test_each_reading_runs_on_the_same_texts_over_ten_seeds() -> None:
    study = find_study("defaults")
    assert list(study.seeds) == list(range(10))
    settings = {(cell["texts"], cell["per_class"]) for cell in study.cells}
    for reading in (POOLER, *READINGS):
        own = [(cell["texts"], cell["per_class"]) for cell in study.cells if cell["reading"] == reading]
        assert sorted(own) == sorted(settings)


def planted(**gains: dict[int, float]) -> pd.DataFrame:
    """Rows in which a reading is better than the pooler by its gain for a number of texts of each class, or 0."""
    noise = np.random.default_rng(0).normal(0, 0.001, size=10)
    rows = []
    for cell, seed in itertools.product(find_study("defaults").cells, range(10)):
        gain = gains.get(cell["reading"], {}).get(cell["per_class"], 0.0)
        own = noise[seed] if cell["reading"] != POOLER else 0.0
        rows.append({**cell, "seed": seed, "accuracy": 0.7 + gain + own})
    return pd.DataFrame(rows)


def test_a_reading_wins_that_is_above_for_the_fewest_texts_and_below_nowhere() -> None:
    fewest = {size: 0.03 for _, size in FEWEST}
    assert winning_reading(planted()) == POOLER
    assert winning_reading(planted(mean=fewest)) == "mean"
    assert winning_reading(planted(mean={FEWEST[0][1]: 0.03})) == POOLER  # on one task only
    assert winning_reading(planted(mean={**fewest, 60: -0.03})) == POOLER  # harms with more texts
