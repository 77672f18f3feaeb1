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
from bertft_helpers.evaluation import Predictions
from bertft_helpers.own_texts.settings import TaskSettings, plan
from bertft_helpers.studies import defaults, recipes
from bertft_helpers.studies.catalogue import find_study
from bertft_helpers.studies.defaults import (
    CHANGES,
    FIRST,
    STANDARD,
    TRIED,
    Default,
    measure_defaults,
    patience_of,
    start_as_identity,
)
from bertft_helpers.studies.material import parts_of
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
    pool = parts_of("headlines")["train"]
    learned, choosing = defaults._drawn(pool, Default("headlines", 10), seed=3)
    assert learned.input_ids == recipes.training_examples(Recipe(per_class=10), seed=3).input_ids
    assert np.bincount(learned.labels).tolist() == [10] * 5
    assert np.bincount(choosing.labels).tolist() == [3] * 5
    assert {*map(tuple, learned.input_ids)} & {*map(tuple, choosing.input_ids)} == set()


def test_of_all_texts_a_quarter_of_each_class_chooses() -> None:
    pool = parts_of("headlines")["train"]
    learned, choosing = defaults._drawn(pool, Default("headlines", None), seed=3)
    both = np.bincount(learned.labels) + np.bincount(choosing.labels)
    assert np.abs(both - np.bincount(pool.labels)).max() <= 1
    assert len(choosing) / len(pool) == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize(
    ("texts", "size", "counts"), [("headlines", 48, [48, 24, 12, 6, 3]), ("lead or later", 96, [96, 6])]
)
def test_uneven_classes_fall_by_equal_ratios_and_the_largest_goes_round(texts: str, size: int, counts: list) -> None:
    pool = parts_of(texts)["train"]
    for seed in (0, 1):
        learned, choosing = defaults._drawn(pool, Default(texts, size, uneven=True), seed)
        assert np.bincount(learned.labels).tolist() == np.roll(counts, seed).tolist()
        assert np.bincount(choosing.labels).min() >= 1


def test_scores_after_uneven_classes_are_those_of_texts_as_uneven() -> None:
    """By hand: of 4 and 4 texts, judged as if they were 3 and 1, three of the first and one of the second are right."""
    labels, classes = np.array([0] * 4 + [1] * 4), np.array([0, 0, 0, 1, 0, 0, 0, 1])
    probabilities = np.where(classes[:, None] == [0, 1], 0.9, 0.1)
    judged = Predictions(np.log(probabilities), labels)
    found = defaults._scores(judged, np.array([3, 1]))
    # weighted confusion: first class 2.25 right and 0.75 wrong, second 0.25 right and 0.75 wrong
    assert found["accuracy"] == pytest.approx(2.5 / 4)
    assert found["macro_f1"] == pytest.approx((2 * 2.25 / (3 + 3) + 2 * 0.25 / (1 + 1)) / 2)
    assert found["loss"] == pytest.approx(-(2.5 * np.log(0.9) + 1.5 * np.log(0.1)) / 4)
    assert found["failed"]  # always answering the first class is right for three of four
    assert defaults._scores(judged, None)["accuracy"] == 0.5


def test_class_weights_count_a_rare_class_more() -> None:
    model = BertForSequenceClassification(tiny_config())
    batch = {"input_ids": torch.ones(4, 3, dtype=torch.long), "attention_mask": torch.ones(4, 3, dtype=torch.long)}
    batch["labels"] = torch.tensor([0, 0, 1, 2])
    model.eval()
    usual, weighted = (
        defaults._loss(Default("headlines", 3, class_weights=asked), [0, 0, 1, 2])(model, batch)[0]
        for asked in (False, True)
    )
    each = -torch.log_softmax(model(**{name: batch[name] for name in ("input_ids", "attention_mask")}).logits, -1)
    lost = each.detach()[torch.arange(4), batch["labels"]]
    assert float(usual.detach()) == pytest.approx(float(lost.sum()))
    assert float(weighted.detach()) == pytest.approx(float(lost[:2].sum() * 2 / 3 + lost[2:].sum() * 4 / 3))


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
    assert winning_change({"defaults": planted(gains)}) == change


def test_of_several_changes_that_hold_the_one_that_gains_most_is_taken() -> None:
    identity = dict.fromkeys([(IDENTICAL, "headlines", 10), (IDENTICAL, "lead or later", 25)], 0.05)
    assert winning_change({"defaults": planted({**FEWEST, **identity})}) == {"reading": "identity"}
