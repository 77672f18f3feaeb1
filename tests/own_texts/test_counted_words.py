"""Counted words as a model that is kept: the same answers after saving, in files that hold words and numbers only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_data import labelled_rows
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bertft_helpers.errors import DamagedFileError
from bertft_helpers.model_files.manifest import MANIFEST, write_manifest
from bertft_helpers.own_texts.baselines import counted_words, head_of
from bertft_helpers.own_texts.counted_words import NUMBERS, WORDS, CountedWords, LinearHead

NAMES = ["birds", "fruit", "tools"]


def counted(rows: list[tuple[str, str]]) -> CountedWords:
    texts = {part: [text for text, _ in rows] for part in ("train", "validation", "test")}
    labels = {part: [NAMES.index(label) for _, label in rows] for part in texts}
    found = counted_words(texts, labels)
    assert found.head is not None
    assert found.counter is not None
    return CountedWords(found.counter, found.head, NAMES, temperature=1.5)


@pytest.fixture(scope="module")
def classifier() -> CountedWords:
    return counted(labelled_rows())


@pytest.fixture
def saved(classifier: CountedWords, tmp_path: Path) -> Path:
    classifier.save(tmp_path / "model", {"training texts": 36})
    return tmp_path / "model"


@pytest.mark.parametrize("rows", [labelled_rows(), [("a !", "birds"), ("b ?", "fruit"), ("c", "tools")] * 3])
def test_what_is_loaded_answers_as_what_was_saved(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    classifier = counted(rows)  # the second: texts without a word of two letters
    classifier.save(tmp_path / "model", {})
    loaded = CountedWords.load(tmp_path / "model")
    texts = [*(text for text, _ in rows[::5]), "nothing of this was ever seen", "pear &amp; plum"]
    assert loaded.predict(texts) == classifier.predict(texts)
    assert (loaded.label_names, loaded.temperature, loaded.cut_after) == (NAMES, 1.5, None)


def test_a_text_is_repaired_as_in_training(classifier: CountedWords) -> None:
    assert classifier.predict(["apple  and\nfig &amp;"]) == classifier.predict(["apple and fig &"])


def test_the_same_model_is_saved_as_the_same_files(classifier: CountedWords, saved: Path, tmp_path: Path) -> None:
    classifier.save(tmp_path / "again", {"training texts": 36})
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    assert {path.name for path in saved.iterdir()} == {WORDS, NUMBERS, "README.md", MANIFEST}
    assert "`transformers.pipeline` cannot open it" in (saved / "README.md").read_text()


def without_a_word(folder: Path) -> None:
    content = json.loads((folder / WORDS).read_text())
    content["words"].pop()
    (folder / WORDS).write_text(json.dumps(content))
    write_manifest(folder, NAMES, "repair", None, "whole text", 1.0)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / NUMBERS).write_bytes(b"x"), "has 1 bytes, saved were"),
        (lambda folder: (folder / WORDS).unlink(), f"{WORDS} is missing"),
        (lambda folder: (folder / MANIFEST).unlink(), f"{MANIFEST} is missing"),
        (without_a_word, "are damaged"),
    ],
)
def test_files_that_are_not_what_was_saved_are_refused(
    saved: Path, damage: Callable[[Path], object], told: str
) -> None:
    damage(saved)
    with pytest.raises(DamagedFileError, match=told):
        CountedWords.load(saved)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scaled", [True, False])
def test_a_regression_is_one_linear_layer(classes: int, scaled: bool) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % classes
    features = generator.normal(labels[:, None], 2.0, (60, 4)) * [1, 10, 0.1, 1] + 5
    scaler = StandardScaler().fit(features) if scaled else None
    inputs = features if scaler is None else scaler.transform(features)
    regression = LogisticRegression(max_iter=1000).fit(inputs, labels)
    weight, bias = head_of(regression, scaler)
    logits = features @ weight.T + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), regression.predict_proba(inputs), atol=1e-9)


def test_of_two_classes_the_first_has_the_logit_zero() -> None:
    regression = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    head = head_of(regression)
    assert isinstance(head, LinearHead)
    assert (head.weight[0], head.bias[0]) == (0.0, 0.0)
    np.testing.assert_allclose(expit(head.weight[1] * 2 + head.bias[1]), regression.predict_proba([[2.0]])[0, 1:])
