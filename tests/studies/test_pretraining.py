"""The study of masked words: what it trains, from what, and that without a step it is the study of few headlines."""

from __future__ import annotations

import pytest
import torch
from minimal import parameters_of, tiny_config
from transformers import BertForMaskedLM

from bertft_helpers.errors import UserError
from bertft_helpers.speed.dropout import byte_generator
from bertft_helpers.studies import pretraining
from bertft_helpers.studies.catalogue import stored_results
from bertft_helpers.studies.pretraining import DESKS, by_reader, measure_pretraining, train_on_words
from bertft_helpers.studies.recipes import Recipe


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> BertForMaskedLM:
    """A tiny model, and 32 stretches to train on."""
    monkeypatch.setattr(
        pretraining, "_stretches", lambda part: [[101, 2000 + row, 2100 + row, 102] for row in range(32)]
    )
    torch.manual_seed(0)
    return BertForMaskedLM(tiny_config(vocab_size=30_522))


@pytest.mark.parametrize("masks", ["torch", "bytes"])
def test_masked_words_move_encoder_and_head_and_leave_the_model_as_it_was_made(tiny, masks: str) -> None:
    before = parameters_of(tiny)
    train_on_words(tiny, 2, seed=0, recipe=Recipe(masks=masks))
    moved = {name for name, weight in tiny.state_dict().items() if not torch.equal(weight, before[name])}
    assert {name.split(".")[0] for name in moved} == {"bert", "cls"}
    assert byte_generator(tiny) is None  # dropout is torch's own again


def test_no_step_changes_nothing_and_more_than_there_are_texts_for_are_refused(tiny) -> None:
    before = parameters_of(tiny)
    train_on_words(tiny, 0, seed=0, recipe=DESKS)
    assert all(torch.equal(weight, before[name]) for name, weight in tiny.state_dict().items())
    with pytest.raises(UserError, match="3 steps need 48 stretches; the training stories have 32"):
        train_on_words(tiny, 3, seed=0, recipe=DESKS)


def test_another_factor_is_refused() -> None:
    with pytest.raises(UserError, match="the factors are per_class; the only one is pretraining_steps"):
        measure_pretraining({"per_class": 5}, 0)


def test_without_a_step_the_frozen_features_are_those_of_the_study_of_few_headlines() -> None:
    rows, few = stored_results("pretraining"), stored_results("small_data")
    same = few[(few["per_class"] == 20) & (few["frozen"] == "features, tuned")].set_index("seed")["accuracy"]
    own = rows[rows["pretraining_steps"] == 0].set_index("seed")["features_accuracy"]
    assert len(own) >= 5
    assert own.to_dict() == same[own.index].to_dict()


def test_each_run_is_told_once_for_each_way_of_reading_it() -> None:
    rows = stored_results("pretraining")
    told = by_reader(rows)
    assert len(told) == 2 * len(rows)
    features = told[told["reader"] == "features"]
    assert features["accuracy"].tolist() == rows["features_accuracy"].tolist()
