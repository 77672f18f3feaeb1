"""Scores against scikit-learn and scipy on random answers, worked examples by hand, and refused input."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn import metrics as reference

from bertft_helpers import metrics

LABELS = 4


@pytest.fixture(params=range(5))
def answers(request) -> tuple[np.ndarray, np.ndarray]:
    """Random labels and predictions of four classes, of which the last is rare and may be missing."""
    generator = np.random.default_rng(request.param)
    shares = [0.5, 0.3, 0.18, 0.02]
    labels = generator.choice(LABELS, size=60, p=shares)
    guesses = generator.choice(LABELS, size=60, p=shares)
    return labels, np.where(generator.random(60) < 0.6, labels, guesses)


@pytest.fixture(params=range(5))
def scored(request) -> tuple[np.ndarray, np.ndarray]:
    """Whether an example is of the class, and a score with many ties."""
    generator = np.random.default_rng(request.param)
    is_class = np.append([True, False], generator.random(80) < 0.3)
    return is_class, np.round(is_class + generator.normal(size=82), 1)


def test_class_scores_equal_scikit_learn(answers) -> None:
    ours = metrics.class_scores(*answers, LABELS)
    theirs = reference.precision_recall_fscore_support(*answers, labels=range(LABELS), zero_division=0)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)


def test_averages_equal_scikit_learn(answers) -> None:
    options = {"labels": range(LABELS), "zero_division": 0}
    assert metrics.macro_f1(*answers, LABELS) == pytest.approx(reference.f1_score(*answers, average="macro"))
    assert metrics.weighted_f1(*answers, LABELS) == pytest.approx(
        reference.f1_score(*answers, average="weighted", **options)
    )
    assert metrics.matthews_correlation(*answers, LABELS) == pytest.approx(reference.matthews_corrcoef(*answers))
    assert metrics.accuracy(*answers) == pytest.approx(reference.accuracy_score(*answers))


def test_rows_of_the_confusion_matrix_are_true_labels() -> None:
    assert metrics.confusion_matrix([0, 0, 1], [1, 1, 1], 2).tolist() == [[0, 2], [0, 1]]


def test_a_class_that_nobody_names_counts_zero_and_not_nan() -> None:
    scores = metrics.class_scores([0, 0, 1], [0, 0, 0], 3)
    assert scores.precision.tolist() == [2 / 3, 0.0, 0.0]
    assert scores.recall.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("labels", "predictions", "expected"),
    [
        ([0, 0, 1], [0, 0, 0], 0.8 / 2),  # class 2 occurs nowhere: no F1 to average
        ([0, 0, 1], [0, 0, 2], (1 + 0 + 0) / 3),  # called though nobody meant it: a mistake, which costs
        ([1, 1], [1, 1], 1.0),
    ],
)
def test_macro_f1_is_over_the_classes_that_occur(labels, predictions, expected: float) -> None:
    assert metrics.macro_f1(labels, predictions, 3) == pytest.approx(expected)
    assert metrics.macro_f1(labels, predictions, 3) == pytest.approx(
        reference.f1_score(labels, predictions, average="macro", zero_division=0)
    )


def test_always_the_same_answer_has_no_correlation() -> None:
    assert metrics.matthews_correlation([0, 0, 1], [0, 0, 0], 2) == 0.0


def test_areas_equal_scikit_learn_also_with_ties(scored) -> None:
    assert metrics.area_under_roc(*scored) == pytest.approx(reference.roc_auc_score(*scored))
    assert metrics.average_precision(*scored) == pytest.approx(reference.average_precision_score(*scored))


def test_curves_equal_scikit_learn(scored) -> None:
    false_alarms, hits, thresholds = reference.roc_curve(*scored, drop_intermediate=False)
    np.testing.assert_allclose(metrics.roc_curve(*scored), [false_alarms, hits, thresholds])
    precision, recall, thresholds = reference.precision_recall_curve(*scored)
    curve = metrics.precision_recall_curve(*scored)
    np.testing.assert_allclose(curve, [recall[-2::-1], precision[-2::-1], thresholds[::-1]])


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.5, 0.5]])
    labels = [0, 1, 1, 0]
    ours = metrics.reliability(labels, probabilities, bins=10)
    assert ours.count.tolist() == [1, 1, 2]
    np.testing.assert_allclose(ours.confidence, [0.5, 0.65, 0.95])
    np.testing.assert_allclose(ours.accuracy, [1.0, 1.0, 0.5])
    error = metrics.expected_calibration_error(labels, probabilities)
    assert error == pytest.approx((0.5 + 0.35 + 2 * 0.45) / 4)


def test_full_confidence_falls_into_the_last_bin() -> None:
    assert metrics.reliability([0, 0], [[1.0, 0.0], [0.9, 0.1]], bins=5).count.tolist() == [2]


def test_the_temperature_is_the_one_that_scipy_finds() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, size=200)
    logits = 5 * (np.eye(3)[labels] + generator.normal(size=(200, 3)))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        probabilities = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
        return reference.log_loss(labels, probabilities)

    best = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8})
    assert metrics.fit_temperature(logits, labels) == pytest.approx(np.exp(best.x), rel=1e-4)


def test_huge_logits_have_a_temperature() -> None:
    logits, labels = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]]), np.array([0, 1, 1])
    shifted = metrics.fit_temperature(logits + 5000, labels)
    assert shifted == pytest.approx(metrics.fit_temperature(logits, labels), rel=1e-6)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (3, 3), (8, 1), (0, 6), (30, 50)])
def test_mcnemar_is_the_exact_two_sided_binomial_test(only_first: int, only_second: int) -> None:
    labels = np.zeros(only_first + only_second + 2, dtype=int)
    first = np.array([0] * only_first + [1] * only_second + [0, 1])  # both right, both wrong: without weight
    second = np.array([1] * only_first + [0] * only_second + [0, 1])
    trials = only_first + only_second
    expected = stats.binomtest(only_first, trials).pvalue if trials else 1.0
    assert metrics.mcnemar(labels, first, second) == pytest.approx(expected)


def test_mcnemar_of_a_million_texts_takes_no_time() -> None:
    labels = np.zeros(1_000_000, dtype=int)
    first = np.repeat([0, 1], [500_500, 499_500])
    start = time.perf_counter()
    assert metrics.mcnemar(labels, first, 1 - first) == pytest.approx(stats.binomtest(500_500, 1_000_000).pvalue)
    assert time.perf_counter() - start < 1  # the sum over binomial coefficients took minutes at a tenth of this


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.accuracy([], []), "no examples"),
        (lambda: metrics.accuracy([0, 1], [0]), "two lists of one length"),
        (lambda: metrics.confusion_matrix([0, 5], [0, 1], 3), r"a label lies outside 0\.\.2: found 0\.\.5"),
        (lambda: metrics.confusion_matrix([0, 3], [0, 1], 3), r"a label lies outside 0\.\.2: found 0\.\.3"),
        (lambda: metrics.confusion_matrix([0, 1], [0, -1], 3), r"a prediction lies outside 0\.\.2: found -1\.\.0"),
        (lambda: metrics.roc_curve([1, 1], [0.5, 0.6]), "one example of the class and one outside"),
        (lambda: metrics.roc_curve([0, 0], [0.5, 0.6]), "one example of the class and one outside"),
        (lambda: metrics.average_precision([0, 1], [0.5]), "lists of one length"),
        (lambda: metrics.reliability([0, 1], [0.5, 0.5]), r"need values \[examples, labels\]"),
        (lambda: metrics.fit_temperature([[1.0, 2.0]], [2]), r"a label lies outside 0\.\.1"),
        (lambda: metrics.mcnemar([0, 1], [0, 1], [0]), "two lists of one length"),
    ],
)
def test_input_without_meaning_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
