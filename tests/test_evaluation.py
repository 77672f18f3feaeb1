"""Evaluation: weighted by examples, in their order, without traces in the model; intervals that keep their word."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from bertft_helpers import evaluation
from bertft_helpers.batching import EncodedTexts, make_loader
from bertft_helpers.evaluation import Predictions, bootstrap_interval, evaluate, evaluation_mode, predict


class FirstToken(nn.Module):
    """Logits are a table's row for the first token, with dropout before it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.dropout(self.table(input_ids[:, 0])))


@pytest.fixture
def model() -> FirstToken:
    torch.manual_seed(0)
    return FirstToken()


def texts(labels: list[int]) -> EncodedTexts:
    """Texts of falling length, so that a loader sorted by length turns their order round."""
    return EncodedTexts([[row + 1] * (len(labels) - row) for row in range(len(labels))], labels)


def expected(model: FirstToken, labels: list[int]) -> tuple[float, float]:
    kept = [row for row, label in enumerate(labels) if label != -100]
    logits = model.table.weight[torch.tensor(kept) + 1]
    truth = torch.tensor([labels[row] for row in kept])
    hits = (logits.argmax(dim=1) == truth).float().mean().item()
    return nn.functional.cross_entropy(logits, truth).item(), hits


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_a_short_last_batch_weighs_by_its_size(model: FirstToken, batch_size: int) -> None:
    labels = [0, 1, 2, 1, 0]
    measured = evaluate(model, make_loader(texts(labels), batch_size))
    assert (measured.loss, measured.accuracy) == pytest.approx(expected(model, labels), abs=1e-6)
    assert measured.targets == 5


def test_ignored_labels_count_nowhere(model: FirstToken) -> None:
    labels = [0, -100, 2, -100, 0]
    measured = evaluate(model, make_loader(texts(labels), 2))
    assert (measured.loss, measured.accuracy) == pytest.approx(expected(model, labels), abs=1e-6)
    assert measured.targets == 3


def test_nothing_to_evaluate_is_an_error_rather_than_nan(model: FirstToken) -> None:
    with pytest.raises(ValueError, match="every label is ignored"):
        evaluate(model, make_loader(texts([-100, -100]), 2))


def test_predictions_come_in_the_order_of_the_texts(model: FirstToken) -> None:
    labels = [0, 1, 2, 1, 0]
    predictions = predict(model, make_loader(texts(labels), 2))
    assert predictions.labels.tolist() == labels
    np.testing.assert_array_equal(predictions.logits, model.table.weight[1:6].detach().numpy())


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_comes_back_even_after_an_error(model: FirstToken, training: bool) -> None:
    def look_and_fail() -> None:
        with evaluation_mode(model):
            assert not model.training
            assert torch.is_inference_mode_enabled()
            raise RuntimeError("on purpose")

    model.train(training)
    with pytest.raises(RuntimeError, match="on purpose"):
        look_and_fail()
    assert model.training == training


@pytest.mark.parametrize("measure", [evaluate, predict])
@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_model_in_its_mode_even_when_it_fails(model: FirstToken, measure, training: bool) -> None:
    model.train(training)
    measure(model, make_loader(texts([0, 1, 2]), 2))
    assert model.training == training
    beyond_the_table = EncodedTexts([[1], [99, 1]], [0, 1])
    with pytest.raises(IndexError):
        measure(model, make_loader(beyond_the_table, 1))
    assert model.training == training
    assert torch.is_grad_enabled()


def test_probabilities_of_huge_logits_stay_finite() -> None:
    probabilities = Predictions(np.array([[1000.0, 0.0], [0.0, 0.0]]), np.array([0, 1])).probabilities
    np.testing.assert_allclose(probabilities, [[1.0, 0.0], [0.5, 0.5]])


def test_the_class_is_the_one_with_the_largest_logit() -> None:
    assert Predictions(np.array([[0.0, 2.0, 1.0], [-1.0, -3.0, -2.0]]), np.array([0, 0])).classes.tolist() == [1, 0]


def test_a_model_in_half_precision_can_be_measured(model: FirstToken) -> None:
    labels = [0, 1, 2, 1, 0]
    measured = evaluate(model.bfloat16(), make_loader(texts(labels), 2))
    predictions = predict(model, make_loader(texts(labels), 2))
    assert predictions.logits.dtype == np.float32
    exact = nn.functional.cross_entropy(torch.tensor(predictions.logits), torch.tensor(labels)).item()
    assert measured.loss == pytest.approx(exact, abs=1e-6)  # summed in float32: bfloat16 would be off by a hundredth


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_an_interval_agrees_with_scipys_bootstrap(level: float) -> None:
    values = np.random.default_rng(1).normal(size=300)
    low, high = bootstrap_interval(values, resamples=5000, level=level)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=5000,
        confidence_level=level,
        method="percentile",
        random_state=np.random.default_rng(2),  # which scipy older than 1.15 knows, too
    ).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


@pytest.mark.parametrize("block", [1, 900, 10**9])
def test_an_interval_is_the_same_in_blocks_of_any_size(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=90)
    expected = np.random.default_rng(5).integers(0, 90, size=(123, 90))
    monkeypatch.setattr(evaluation, "BLOCK", block)
    low, high = np.quantile(np.median(values[expected], axis=1), [0.1, 0.9])
    assert bootstrap_interval(values, np.median, 123, level=0.8, seed=5) == (low, high)


def test_an_interval_of_equal_values_has_no_width() -> None:
    assert bootstrap_interval([1.0] * 20) == (1.0, 1.0)


def test_a_higher_level_gives_a_wider_interval_and_other_statistics_work() -> None:
    values = np.arange(100.0)
    narrow, wide = (bootstrap_interval(values, np.median, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < 49.5 < narrow[1] < wide[1]


@pytest.mark.parametrize(("values", "level"), [([], 0.95), ([1.0], 0.0), ([1.0], 1.0)])
def test_no_values_or_an_impossible_level_are_refused(values: list[float], level: float) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_interval(values, level=level)
