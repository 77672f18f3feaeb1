"""Lesson 23: scores of answers, of rankings and of probabilities."""

from typing import Any

import numpy as np
from graduation import Case, Functions

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.choice(4, size=80, p=[0.5, 0.3, 0.18, 0.02])
FIRST = np.where(GENERATOR.random(80) < 0.7, LABELS, GENERATOR.integers(0, 3, size=80))  # never answers class 3
SECOND = np.where(GENERATOR.random(80) < 0.5, LABELS, GENERATOR.integers(0, 4, size=80))
IS_CLASS = LABELS == 1
SCORES = np.round(IS_CLASS + GENERATOR.normal(size=80), 1)  # with ties
LOGITS = 4 * (np.eye(4)[LABELS] + GENERATOR.normal(size=(80, 4)))
LOGITS[::2] /= 5  # half of the answers too modest, the others too sure
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
PROBABILITIES[0] = [1.0, 0.0, 0.0, 0.0]  # the upper edge of the last bin


def of_answers(name: str) -> Any:
    def run(functions: Functions) -> Any:
        score = functions[name]
        return [score(LABELS, FIRST, 4), score(LABELS, SECOND, 4), score(np.array([0, 0]), np.array([0, 0]), 4)]

    return run


def of_ranking(name: str) -> Any:
    return lambda functions: functions[name](IS_CLASS, SCORES)


def of_probabilities(name: str) -> Any:
    def run(functions: Functions) -> Any:
        return [functions[name](LABELS, PROBABILITIES), functions[name](LABELS, PROBABILITIES, 4)]

    return run


def compared(functions: Functions) -> Any:
    test = functions["mcnemar"]
    return [test(LABELS, FIRST, SECOND), test(LABELS, SECOND, FIRST), test(LABELS, FIRST, FIRST)]


CASES = [
    Case("metrics.accuracy", lambda f: f["accuracy"](LABELS, FIRST), {"a count": (".mean()", ".sum()")}),
    Case(
        "metrics.confusion_matrix",
        of_answers("confusion_matrix"),
        {
            "rows are predictions": ("labels * num_labels + predictions", "predictions * num_labels + labels"),
            "pairs that never occur are lost": (", minlength=num_labels**2).reshape(num_labels, num_labels)", ")"),
        },
    ),
    Case(
        "metrics.class_scores",
        of_answers("class_scores"),
        {
            "precision and recall swapped": (
                "counts.sum(axis=0), counts.sum(axis=1)",
                "counts.sum(axis=1), counts.sum(axis=0)",
            ),
            "a share of nothing is not 0": ("hits / np.maximum(answered, 1)", "hits / answered"),
            "arithmetic mean": ("2 * hits / np.maximum(answered + true, 1)", "(precision + recall) / 2"),
        },
    ),
    Case(
        "metrics.macro_f1",
        of_answers("macro_f1"),
        {"a sum": (".f1[seen].mean()", ".f1[seen].sum()"), "classes that nobody names count 0": (".f1[seen]", ".f1")},
    ),
    Case(
        "metrics.weighted_f1",
        of_answers("weighted_f1"),
        {"unweighted": ("(scores.f1 * scores.support).sum() / scores.support.sum()", "scores.f1.mean()")},
    ),
    Case(
        "metrics.matthews_correlation",
        of_answers("matthews_correlation"),
        {
            "chance not taken off": (" - true @ answered", ""),
            "one class only divides by zero": ("if scale > 0 else 0.0", "if scale >= 0 else 0.0"),
        },
    ),
    Case(
        "metrics.sweep_threshold",
        of_ranking("sweep_threshold"),
        {
            "ties pass one by one": ("scores[1:] != scores[:-1]", "scores[1:] == scores[1:]"),
            "from the mildest threshold": ("np.argsort(-scores", "np.argsort(scores"),
        },
    ),
    Case(
        "metrics.roc_curve",
        of_ranking("roc_curve"),
        {
            "axes swapped": ("x, y = false_alarms", "y, x = false_alarms"),
            "does not begin at zero": ("np.append(0.0, y)", "np.append(y[0], y)"),
        },
    ),
    Case(
        "metrics.precision_recall_curve",
        of_ranking("precision_recall_curve"),
        {"precision of everything": ("hits / (hits + false_alarms)", "hits / (hits[-1] + false_alarms)")},
    ),
    Case(
        "metrics.area_under_roc",
        of_ranking("area_under_roc"),
        {"steps instead of slopes": ("np.trapezoid(curve.y, curve.x)", "(np.diff(curve.x) * curve.y[1:]).sum()")},
    ),
    Case(
        "metrics.average_precision",
        of_ranking("average_precision"),
        {"interpolated": ("(np.diff(curve.x, prepend=0.0) * curve.y).sum()", "np.trapezoid(curve.y, curve.x)")},
    ),
    Case(
        "metrics.reliability",
        of_probabilities("reliability"),
        {
            "a bin of its own for 1.0": (
                "np.minimum((confidence * bins).astype(int), bins - 1)",
                "(confidence * bins).astype(int)",
            ),
            "empty bins kept": ("filled = count > 0", "filled = count >= 0"),
        },
    ),
    Case(
        "metrics.expected_calibration_error",
        of_probabilities("expected_calibration_error"),
        {
            "bins weigh alike": ("* count).sum() / count.sum()", ").mean()"),
            "errors cancel": ("np.abs(confidence - share_correct)", "(confidence - share_correct)"),
        },
    ),
    Case(
        "metrics.fit_temperature",
        lambda functions: functions["fit_temperature"](LOGITS, LABELS),
        {
            "the worse half kept": ("logits / np.exp(left), labels) <", "logits / np.exp(left), labels) >"),
            "stopped early": ("range(60)", "range(6)"),
            "the logarithm returned": ("float(np.exp((low + high) / 2))", "float((low + high) / 2)"),
        },
    ),
    Case(
        "metrics.mcnemar",
        compared,
        {
            "one-sided": ("min(1.0, 2 * tail)", "min(1.0, tail)"),
            "the split itself left out": ("binom.cdf(fewer,", "binom.cdf(fewer - 1,"),
            "all texts are trials": ("trials, fewer = only_first + only_second", "trials, fewer = len(labels)"),
        },
    ),
]
