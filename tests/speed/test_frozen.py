"""Training from cached outputs of a frozen part is training with that part run every step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from minimal import tiny_batch, tiny_classifier, tiny_examples, tiny_loader
from transformers import BertForSequenceClassification

from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.features import cache_boundary
from bertft_helpers.losses import LossFn, classification_loss
from bertft_helpers.models import freeze
from bertft_helpers.optim import build_optimizer
from bertft_helpers.speed.frozen import RowBatches, encode_pooled, head_loss, upper_loss
from bertft_helpers.training import fit, train_epoch

CONFIG = TrainConfig()
BuildLoss = Callable[[BertForSequenceClassification], LossFn]


def plain(model: BertForSequenceClassification) -> LossFn:
    return classification_loss


def from_pooled(model: BertForSequenceClassification) -> LossFn:
    return head_loss(encode_pooled(model, tiny_examples(), batch_size=5))


def from_boundary(model: BertForSequenceClassification) -> LossFn:
    return upper_loss(cache_boundary(model.bert, tiny_examples(), 1, batch_size=5), 1)


def model_without_dropout(layers: int | None) -> BertForSequenceClassification:
    model = tiny_classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    freeze(model, layers)
    return model.train()


def trained(build_loss: BuildLoss, layers: int | None) -> tuple[list[float], dict[str, torch.Tensor]]:
    model, loader = model_without_dropout(layers), tiny_loader()
    loss_fn = build_loss(model)
    optimizer, schedule = build_optimizer(model, 5e-3, 2 * len(loader), weight_decay=0.1)
    epochs = [train_epoch(model, loader, optimizer, schedule, CONFIG, loss_fn) for _ in range(2)]
    return [step.loss_sum for steps in epochs for step in steps], model.state_dict()


@pytest.mark.parametrize(("build_loss", "layers"), [(from_pooled, None), (from_boundary, 1)])
def test_losses_and_weights_are_those_of_the_plain_way(build_loss: BuildLoss, layers: int | None) -> None:
    expected_losses, expected = trained(plain, layers)
    losses, found = trained(build_loss, layers)
    assert losses == pytest.approx(expected_losses, abs=1e-5)
    assert losses[-1] != pytest.approx(losses[0], abs=1e-2)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("build_loss", "layers"), [(from_pooled, None), (from_boundary, 1)])
def test_gradients_are_those_of_the_plain_way_and_the_frozen_part_has_none(build_loss, layers) -> None:
    gradients = []
    for build in (plain, build_loss):
        model = model_without_dropout(layers)
        build(model)(model, tiny_batch())[0].backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[1].keys() == gradients[0].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=0, atol=1e-5)


def test_ignored_labels_count_nowhere() -> None:
    model = model_without_dropout(None)
    _, targets = from_pooled(model)(model, tiny_batch(3, labels=[1, -100, 2]))
    assert targets.item() == 2


def test_the_head_keeps_its_own_dropout() -> None:
    model = tiny_classifier(hidden_dropout_prob=0.5).train()
    loss_fn = from_pooled(model)
    first, second = (loss_fn(model, tiny_batch())[0].item() for _ in range(2))
    assert first != second


@pytest.mark.parametrize(("build_loss", "layers"), [(from_pooled, None), (from_boundary, 1)])
def test_fit_trains_on_rows_alone_and_validates_the_whole_model(build_loss: BuildLoss, layers: int | None) -> None:
    runs = []
    for build, batches in ((plain, tiny_loader()), (build_loss, RowBatches(tiny_examples(), 4, seed=3))):
        model = model_without_dropout(layers)
        optimizer, schedule = build_optimizer(model, 5e-3, 3 * len(batches), weight_decay=0.1)
        validation = tiny_loader(7, seed=None, offset=1)
        history = fit(model, batches, validation, optimizer, schedule, CONFIG, build(model))
        runs.append((history, model.state_dict()))
    (expected_history, expected), (history, found) = runs
    for row, by_plain in zip(history.epochs, expected_history.epochs, strict=True):
        assert row == pytest.approx(by_plain, abs=1e-5)
    assert history.epochs[0]["train_loss"] != pytest.approx(history.epochs[-1]["train_loss"], abs=1e-3)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)


def test_a_loader_without_rows_is_refused_by_what_it_has() -> None:
    model, batch = model_without_dropout(None), tiny_batch()
    del batch["rows"]
    with pytest.raises(UserError, match="a batch has no 'rows', only 'input_ids', 'attention_mask', 'labels'"):
        from_pooled(model)(model, batch)


def test_batches_of_rows_are_those_of_the_loader() -> None:
    batches, loader = RowBatches(tiny_examples(), 4, seed=3), tiny_loader()
    for epoch in range(2):
        batches.batch_sampler.set_epoch(epoch)
        loader.batch_sampler.set_epoch(epoch)
        for found, expected in zip(batches, loader, strict=True):
            assert torch.equal(found["rows"], expected["rows"])
            assert torch.equal(found["labels"], expected["labels"])
