"""Scores of a classifier: whole and in parts, with intervals, of any number of texts and also of one class."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from minimal import tiny_classifier
from scipy import stats
from sklearn.metrics import f1_score

from bertft_helpers import metrics
from bertft_helpers.evaluation import Predictions, bootstrap_interval
from bertft_helpers.inference import TextClassifier
from bertft_helpers.own_texts import scores as scores_module
from bertft_helpers.own_texts.scores import (
    Slice,
    accuracy_interval,
    confident_mistakes,
    frequent_confusions,
    macro_f1_interval,
    score_texts,
    scores_of,
    slices,
    weakest,
)
from bertft_helpers.pretrained import load_tokenizer


def predictions() -> Predictions:
    """Four texts of two classes; the second and the last are wrong, with 0.73 and 0.95."""
    return Predictions(np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.5], [3.0, 0.0]]), np.array([0, 0, 1, 1]))


def test_the_surest_mistake_comes_first() -> None:
    mistakes = confident_mistakes(predictions())
    assert [(one.row, one.label, one.predicted) for one in mistakes] == [(3, 1, 0), (1, 0, 1)]
    assert mistakes[0].probability == pytest.approx(0.9526, abs=1e-4)


def test_slices_by_confidence_and_by_new_words_hold_each_text_once() -> None:
    found = slices(["known word", "known new", "new new", "known"], [4, 4, 4, 3], ["known word"], predictions())
    by_name = {(one.group, one.name): (one.count, one.accuracy) for one in found}
    assert by_name[("words", "all known from training")] == (2, 0.5)
    assert by_name[("words", "more than a quarter new")] == (2, 0.5)
    assert by_name[("the model's own confidence", "90 % and more")] == (1, 0.0)
    assert by_name[("the model's own confidence", "60 to 90 %")] == (3, pytest.approx(2 / 3))
    for group in {one.group for one in found}:
        assert sum(one.count for one in found if one.group == group) == 4


def test_the_weakest_slice_is_large_enough_and_clearly_below() -> None:
    small, clear, vague = (
        Slice("g", name, n, 0.2, 0.1, high) for name, n, high in [("s", 9, 0.3), ("c", 10, 0.4), ("v", 50, 0.9)]
    )
    assert weakest([small, clear, vague], 0.8) is clear
    assert weakest([small, vague], 0.8) is None


def test_confusions_are_listed_from_the_most_frequent() -> None:
    assert frequent_confusions(np.array([[5, 1, 0], [3, 4, 0], [0, 2, 9]])) == [(1, 0, 3), (2, 1, 2), (0, 1, 1)]


def test_scores_agree_with_metrics_and_scikit_learn_where_a_class_is_missing() -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    scores = scores_of(labels, predicted, ["a", "b", "c"])
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores["macro_f1"] == metrics.macro_f1(labels, predicted, 3)
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores["accuracy"] == 0.75
    assert [row["texts"] for row in scores["classes"]] == [2, 2, 0]


def test_a_class_that_is_called_though_nobody_meant_it_lowers_macro_f1() -> None:
    scores = scores_of(np.array([0, 0, 0]), np.array([0, 0, 1]), ["a", "b"])
    assert scores["macro_f1"] == pytest.approx(0.8 / 2)


@pytest.mark.parametrize(("right", "count"), [(1, 5), (4, 5), (17, 20), (330, 419)])
def test_the_interval_of_an_accuracy_is_that_of_drawn_answers(right: int, count: int) -> None:
    answers = np.arange(count) < right
    drawn = bootstrap_interval(answers, resamples=20_000)
    assert accuracy_interval(answers) == pytest.approx(drawn, abs=1.01 / count)  # one answer more or less


def test_answers_that_are_all_right_or_all_wrong_leave_the_doubt_that_their_number_leaves() -> None:
    bound = 0.025 ** (1 / 50)  # were this the share of right answers, 50 of 50 would be right once in 40 times
    assert accuracy_interval(np.ones(50, dtype=bool)) == (pytest.approx(bound), 1.0)
    assert accuracy_interval(np.zeros(50, dtype=bool)) == (0.0, pytest.approx(1 - bound))


def test_resampled_accuracies_are_binomial() -> None:
    """What ``accuracy_interval`` takes for granted, on the resamples that lesson 22 draws."""
    answers = np.arange(12) < 9
    rows = np.random.default_rng(0).integers(0, 12, size=(20_000, 12))
    found = np.bincount(answers[rows].sum(axis=1), minlength=13)
    expected = 20_000 * stats.binom.pmf(range(13), 12, 9 / 12)
    often = expected > 5
    assert stats.chisquare(found[often], expected[often] * found[often].sum() / expected[often].sum()).pvalue > 0.01


def test_the_interval_of_macro_f1_is_that_of_drawn_texts() -> None:
    generator = np.random.default_rng(0)
    labels = generator.choice(3, size=200, p=[0.6, 0.3, 0.1])
    predicted = np.where(generator.random(200) < 0.7, labels, generator.integers(0, 4, size=200))
    rows = np.random.default_rng(1).integers(0, 200, size=(2000, 200))
    drawn = np.quantile([metrics.macro_f1(labels[r], predicted[r], 4) for r in rows], [0.025, 0.975])
    assert macro_f1_interval(labels, predicted, 4, resamples=2000) == pytest.approx(drawn, abs=0.01)


def texts_of(labels: list[str], names: list[str], texts: list[str]) -> Dataset:
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    return Dataset.from_dict({"text": texts, "label": labels}, features=features)


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    """An untrained model that knows the labels c, b, a (in this order)."""
    tokenizer = load_tokenizer()
    model = tiny_classifier(vocab_size=len(tokenizer), id2label={0: "c", 1: "b", 2: "a"}, max_position_embeddings=64)
    return TextClassifier(model, tokenizer, max_length=16)


def test_scored_texts_are_compared_by_name_with_the_models_own_answers(classifier, monkeypatch) -> None:
    monkeypatch.setattr(scores_module, "BLOCK", 2)  # so that five texts are three blocks, one without any text
    texts = ["one apple", "two pears", " ", "&#32;", "three plums"]
    scores = score_texts(classifier, texts_of(["a", "b", "b", "a", "c"], ["a", "b", "c"], texts))
    answers = [one.label for one in classifier.predict(["one apple", "two pears", "three plums"])]
    assert scores["accuracy"] == pytest.approx(np.mean([x == y for x, y in zip(answers, "abc", strict=True)]))
    assert (scores["texts"], scores["without_text"]) == (3, 2)
    assert [row["label"] for row in scores["classes"]] == ["c", "b", "a"]


def test_texts_of_one_class_can_be_scored(classifier: TextClassifier) -> None:
    scores = score_texts(classifier, texts_of(["b", "b"], ["b"], ["one", "two"]))
    assert [row["texts"] for row in scores["classes"]] == [0, 2, 0]


def test_labels_that_the_model_does_not_know_and_texts_without_letters_are_refused(classifier) -> None:
    with pytest.raises(ValueError, match="the data has the labels d, which the model does not know; it knows c, b, a"):
        score_texts(classifier, texts_of(["d", "a"], ["a", "d"], ["one", "two"]))
    with pytest.raises(ValueError, match="none of the 2 rows has a text"):
        score_texts(classifier, texts_of(["a", "a"], ["a"], ["", " "]))


MILLION = """
import resource
import numpy as np
from bertft_helpers.evaluation import Predictions
from bertft_helpers.own_texts.scores import confident_mistakes, scores_of, slices

COUNT, LABELS = 1_000_000, 20
generator = np.random.default_rng(0)
labels = generator.integers(0, LABELS, COUNT)
logits = generator.normal(size=(COUNT, LABELS)).astype(np.float32)
logits[np.arange(COUNT), labels] += 3
predictions = Predictions(logits, labels)
lengths = generator.integers(3, 60, COUNT)
texts = [f"the word{n % 50_000} and number {n} of word{n % 997}" for n in range(COUNT)]
scores = scores_of(labels, predictions.classes, [f"class {n}" for n in range(LABELS)])
found = slices(texts, lengths, texts[: COUNT // 2], predictions)
assert {one.group for one in found} == {"length", "words", "the model's own confidence"}
assert sum(one.count for one in found) == 3 * COUNT
low, high = scores["accuracy_interval"]
assert high - low < 0.003 and low < scores["accuracy"] < high
assert len(confident_mistakes(predictions)) == 20
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak memory is in other units elsewhere")
def test_a_million_texts_are_evaluated_within_3_gb() -> None:
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3000
