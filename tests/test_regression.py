"""A number as the target: the scale there and back, the loss of the field, and a folder that opens elsewhere."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from minimal import RATE, parameters_of, tiny_classifier, tiny_examples
from transformers import AutoModelForSequenceClassification

from bertft_helpers.batching import EncodedTexts, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.optim import build_optimizer
from bertft_helpers.regression import Scale, build_regressor, measure_scale, squared_loss
from bertft_helpers.training import steps_per_run, train_epoch


def test_a_scale_shrinks_numbers_about_their_mean_and_restores_them() -> None:
    scale = measure_scale([2.0, 4.0, 6.0, 8.0])
    assert scale == Scale(5.0, math.sqrt(5))
    shrunk = scale.shrink([5.0, 8.0])
    np.testing.assert_allclose(shrunk, [0, 3 / math.sqrt(5)])
    np.testing.assert_allclose(scale.restore(shrunk), [5.0, 8.0])


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([1.0, math.nan, 2.0], "row 2: the target is nan; give a finite number or remove the row"),
        ([1.0, 2.0, math.inf], "row 3: the target is inf"),
        ([3.0, 3.0], "the 2 targets do not differ"),
        ([3.0], "the 1 targets do not differ"),
    ],
)
def test_targets_that_nothing_can_be_learned_from_are_refused_with_their_row(numbers, says) -> None:
    with pytest.raises(UserError) as refused:
        measure_scale(numbers)
    assert says in str(refused.value)


def test_the_loss_is_the_sum_of_squared_errors() -> None:
    model = tiny_classifier(num_labels=1).eval()
    torch.nn.init.zeros_(model.classifier.weight)
    torch.nn.init.constant_(model.classifier.bias, 2.0)
    (batch,) = make_loader(EncodedTexts(tiny_examples(3).input_ids, [0.0, 2.0, 5.0]), 3)
    summed, count = squared_loss(model, batch)
    assert summed.item() == 4 + 0 + 9
    assert count == 3


def test_an_epoch_of_lesson_19_trains_as_with_transformers_own_loss() -> None:
    examples = EncodedTexts(tiny_examples(6).input_ids, [0.5, -1.0, 2.0, 0.0, 1.5, -0.5])

    def library_loss(model, batch):
        kept = {name: batch[name] for name in ("input_ids", "attention_mask")}
        count = batch["labels"].numel()
        return model(**kept, labels=batch["labels"]).loss * count, torch.tensor(count)

    trained = []
    for loss_fn in (squared_loss, library_loss):
        model = tiny_classifier(num_labels=1, problem_type="regression")
        loader, config = make_loader(examples, 2, seed=0), TrainConfig(epochs=1)
        torch.manual_seed(0)  # the same dropout
        optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, config))
        train_epoch(model, loader, optimizer, schedule, config, loss_fn)
        trained.append(parameters_of(model))
    assert not torch.allclose(
        trained[0]["classifier.weight"], tiny_classifier(num_labels=1).state_dict()["classifier.weight"]
    )
    for name, weights in trained[0].items():
        torch.testing.assert_close(weights, trained[1][name])


@pytest.mark.slow
def test_a_saved_model_gives_the_same_numbers_and_loss_in_transformers(tmp_path: Path) -> None:
    model = build_regressor("bundled", "pounds", seed=1).eval()
    torch.nn.init.normal_(model.classifier.weight, std=0.3)
    (batch,) = make_loader(EncodedTexts([[101, 6661, 102], [101, 3125, 2003, 102]], [0.5, -1.5]), 2)
    with torch.no_grad():
        summed, count = squared_loss(model, batch)
        model.save_pretrained(tmp_path)
        opened = AutoModelForSequenceClassification.from_pretrained(tmp_path)
        kept = {name: batch[name] for name in ("input_ids", "attention_mask")}
        theirs = opened(**kept, labels=batch["labels"])
        torch.testing.assert_close(theirs.logits, model(**kept).logits, rtol=0, atol=1e-6)
    assert (opened.config.problem_type, opened.config.id2label) == ("regression", {0: "pounds"})
    torch.testing.assert_close(theirs.loss, summed / count)
