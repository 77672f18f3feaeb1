"""Losses: sums and counts, weights that do not cancel, smoothing, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from minimal import tiny_batch, tiny_classifier
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy

from bertft_helpers.losses import (
    IGNORE,
    LossFn,
    balanced_weights,
    classification_loss,
    forward_logits,
    smoothed_loss,
    weighted_loss,
)

LABELS = [0, 2, IGNORE, 1, 1, 2]
WEIGHTS = [0.5, 2.0, 3.0]


@pytest.fixture
def model() -> torch.nn.Module:
    return tiny_classifier().eval()


def by_hand(model: torch.nn.Module, weights: list[float], smoothing: float) -> float:
    """The weighted, smoothed loss as a plain sum over labels and classes."""
    log_probabilities = forward_logits(model, tiny_batch(labels=LABELS)).log_softmax(dim=1)
    total = 0.0
    for row, label in enumerate(LABELS):
        if label == IGNORE:
            continue
        for number in range(3):
            wanted = smoothing / 3 + (1 - smoothing if number == label else 0.0)
            total -= wanted * weights[number] * log_probabilities[row, number].item()
    return total


@pytest.mark.parametrize(
    ("loss_fn", "weights", "smoothing"),
    [
        (classification_loss, [1, 1, 1], 0.0),
        (weighted_loss(WEIGHTS), WEIGHTS, 0.0),
        (smoothed_loss(0.3), [1, 1, 1], 0.3),
    ],
    ids=["plain", "weighted", "smoothed"],
)
def test_every_loss_equals_its_sum_by_hand(model, loss_fn: LossFn, weights: list[float], smoothing: float) -> None:
    summed, targets = loss_fn(model, tiny_batch(labels=LABELS))
    assert summed.item() == pytest.approx(by_hand(model, weights, smoothing), rel=1e-5)
    assert targets.item() == 5


def test_a_weight_counts_in_a_batch_of_one_label(model) -> None:
    batch = tiny_batch(1, labels=[1])
    weighted = weighted_loss(WEIGHTS)(model, batch)[0].item()
    assert weighted == pytest.approx(2.0 * classification_loss(model, batch)[0].item())
    torch_mean = cross_entropy(forward_logits(model, batch), batch["labels"], weight=torch.tensor(WEIGHTS))
    assert torch_mean.item() == pytest.approx(weighted / 2.0)  # torch's mean divides the weight away


def test_without_labels_the_sum_is_zero_and_not_nan(model) -> None:
    summed, targets = classification_loss(model, tiny_batch(labels=[IGNORE] * 6))
    assert (summed.item(), targets.item()) == (0.0, 0)


def test_the_loss_is_computed_in_float32_from_half_precision_logits(model) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert forward_logits(model, tiny_batch()).dtype == torch.bfloat16
        assert classification_loss(model, tiny_batch())[0].dtype == torch.float32


def test_a_model_stored_in_half_precision_has_its_loss_in_float32(model) -> None:
    summed, _ = classification_loss(model.bfloat16(), tiny_batch())
    assert summed.dtype == torch.float32


def test_a_class_may_weigh_nothing_and_smoothing_may_be_off(model) -> None:
    batch = tiny_batch(labels=LABELS)
    assert smoothed_loss(0.0)(model, batch)[0].item() == classification_loss(model, batch)[0].item()
    assert weighted_loss([0.0, 0.0, 1.0])(model, tiny_batch(2, labels=[0, 1]))[0].item() == 0.0


def test_balanced_weights_are_scikit_learns() -> None:
    labels = [0] * 6 + [1] * 3 + [2]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels, 3).tolist() == pytest.approx(list(expected))
    assert balanced_weights(labels, 3)[torch.tensor(labels)].mean().item() == pytest.approx(1.0)


def test_a_class_without_labels_has_no_balanced_weight() -> None:
    with pytest.raises(ValueError, match=r"no label of class \[1, 3\] among 3 labels; each of 0\.\.3 must occur"):
        balanced_weights([0, 2, 2], 4)
    with pytest.raises(ValueError, match=r"labels up to 2 among 3 labels; each of 0\.\.1"):
        balanced_weights([0, 1, 2], 2)


@pytest.mark.parametrize("weights", [[1.0, -0.1], [1.0, math.inf], [math.nan, 1.0], [0.0, 0.0], [[1.0], [2.0]]])
def test_impossible_weights_are_refused(weights: list) -> None:
    with pytest.raises(ValueError, match=r"weights are .* one finite number of at least 0 per class"):
        weighted_loss(weights)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_an_impossible_smoothing_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match=r"it must be in \[0, 1\)"):
        smoothed_loss(smoothing)
