"""The words that carried an answer: how they are told, what they cost, and that deleting them matters."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from minimal import tiny_classifier
from own_data import finished_run, run, settings_for, write_csv
from sklearn.feature_extraction.text import TfidfVectorizer
from typer.testing import CliRunner, Result

from bertft_helpers.cli.main import app
from bertft_helpers.data import load_texts, select_view
from bertft_helpers.errors import UserError
from bertft_helpers.inference import Prediction, TextClassifier
from bertft_helpers.own_texts.abstaining import ABSTAIN, Abstaining, Rule
from bertft_helpers.own_texts.attribution import WordShare, log_odds, without_words
from bertft_helpers.own_texts.counted_words import CountedWords, LinearHead
from bertft_helpers.own_texts.deletion import EXAMINED, Deletion, check_by_deletion
from bertft_helpers.own_texts.explaining import (
    EXPLAINED,
    Explaining,
    explainer_of,
    told,
)
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.trained import open_trained
from bertft_helpers.own_texts.winner import classifier_of
from bertft_helpers.pretrained import load_tokenizer


def bertft(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def shares_in(text: str, *shares: float) -> list[WordShare]:
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    return [WordShare(text[a:b], share, a, b) for (a, b), share in zip(spans, shares, strict=True)]


def test_the_largest_shares_are_told_whichever_way_they_speak() -> None:
    found = shares_in("Profit not ! profit at the bank today", 1.0, -0.5, 9.0, 0.312, 0.01, 0.02, 0.2, -0.1)
    assert told(found) == "profit +1.31; not -0.50; bank +0.20; today -0.10; the +0.02"
    assert told([]) == ""


def counted(**how: object) -> CountedWords:
    counter = TfidfVectorizer(norm=None, use_idf=False, **how).fit(["good film", "bad film"])
    weight = np.arange(3.0)[:, None] * np.arange(1.0, 1 + len(counter.vocabulary_))
    return CountedWords(counter, LinearHead(weight, np.array([0.5, 0.0, 0.0])), ["a", "b", "c"], temperature=2.0)


def test_of_two_classes_a_counted_word_has_its_weight_times_its_count() -> None:
    classifier = counted()  # bad, film, good
    classifier.head = LinearHead(np.array([[0.0, 0.0, 0.0], [-3.0, 0.5, 2.0]]), np.zeros(2))
    (found,) = classifier.shares_of(["Good film, not bad: good!"], [1])
    assert [(own.word, own.start) for own in found] == [
        ("Good", 0), ("film", 5), ("not", 11), ("bad", 15), ("good", 20)
    ]  # fmt: skip
    assert [own.share for own in found] == pytest.approx([1.0, 0.25, 0.0, -1.5, 1.0])  # over the temperature


def test_the_shares_of_counted_words_add_up_and_a_pair_gives_half_to_each() -> None:
    classifier = counted(ngram_range=(1, 2))  # bad, bad film, film, good, good film
    text = "good film film"
    (found,) = classifier.shares_of([text], [2])
    odds = [np.log(p / (1 - p)) for p in (classifier.predict([text, "nothing"])[n].probabilities["c"] for n in (0, 1))]
    assert sum(own.share for own in found) == pytest.approx(odds[0] - odds[1], abs=1e-3)
    weights = dict(zip(classifier.counter.get_feature_names_out(), range(1, 6), strict=True))
    wanted = np.array([weights["good"] + weights["good film"] / 2, weights["film"] + weights["good film"] / 2])
    assert found[0].share / found[1].share == pytest.approx(wanted[0] / wanted[1])


def test_counted_characters_are_refused() -> None:
    with pytest.raises(UserError, match="counts characters, not words"):
        explainer_of(counted(analyzer="char"))


def test_a_model_that_reads_windows_is_refused() -> None:
    tokenizer = load_tokenizer()
    classifier = TextClassifier(tiny_classifier(vocab_size=len(tokenizer)), tokenizer, 16, stride=4)
    with pytest.raises(UserError, match="train one with --long-texts"):
        explainer_of(classifier)


class Linear:
    """The probability of ``b`` by the number of times that a text says yes."""

    label_names, notes, max_length, temperature = ["a", "b"], [], None, 1.0
    prepare = staticmethod(str)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[0.0, text.split().count("yes")] for text in texts], dtype=np.float32)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        return [Prediction("b", 0.75, {"a": 0.25, "b": 0.75}) for _ in texts]


def test_the_check_by_hand() -> None:
    texts = ["yes yes one two three four", "yes or no"]  # the second has no more words than are deleted
    shares = [shares_in(texts[0], 1, 1, 0.5, 0, 0, 0), shares_in(texts[1], 1, 0, 0)]
    found = check_by_deletion(Linear(), texts, [1, 1], shares, words=3, draws=4)
    assert found is not None
    assert (found.texts, found.words, len(found.drawn)) == (1, 3, 4)
    assert found.highest == pytest.approx(1 / (1 + np.exp(-2)) - 0.5)
    assert all(0 <= fall <= found.highest + 1e-6 for fall in found.drawn)
    assert check_by_deletion(Linear(), texts[1:], [1], shares[1:]) is None
    assert Deletion(1, 3, 0.2, [0.1, 0.1]).holds
    assert not Deletion(1, 3, 0.2, [0.1, 0.3]).holds


def test_words_are_those_of_the_label_that_the_model_would_have_given() -> None:
    asked: list[int] = []

    def explain(texts: Sequence[str], labels: Sequence[int]) -> list[list[WordShare]]:
        asked.extend(labels)
        return [shares_in(text, *(1.0 for _ in text.split())) for text in texts]

    rule = Rule(0.9, 0.8, 10, 10, 1.0, (0.7, 1.0))
    (found,) = Abstaining(Explaining(Linear(), explain), rule).predict(["yes sir"])
    assert (found.label, found.further[EXPLAINED], asked) == (ABSTAIN, "yes +1.00; sir +1.00", [1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("given"))


def test_predict_adds_the_words_and_says_before_what_it_costs(finished: Path, tmp_path: Path) -> None:
    rows = [("owl and wren number 1", "mine"), ("", ""), ("pear, fig", "")]
    source, out = write_csv(tmp_path / "in.csv", rows, ("words", EXPLAINED)), tmp_path / "out.csv"
    done = bertft("predict", finished / "run", source, "--out", out, "--explain", "--flag-unfamiliar")
    assert done.exit_code == 0, done.output
    said = done.stderr.splitlines()
    assert re.search(r"explaining runs the model 8 times, .* about \S+ texts of 64 tokens a second", said[0])
    written = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [row[EXPLAINED] for row in written] == ["mine", "", ""]
    words = [[part.split(" ")[0] for part in row[f"{EXPLAINED}.1"].split("; ")] for row in written]
    assert sorted(words[0]) == ["1", "and", "number", "owl", "wren"]
    assert words[1] == [""]
    assert sorted(words[2]) == ["fig", "pear"]
    assert {row["unfamiliar"] for row in written} <= {"true", "false", ""}


def test_a_table_of_blank_texts_has_nothing_to_explain(finished: Path, tmp_path: Path) -> None:
    source, out = write_csv(tmp_path / "in.csv", [("", "a"), (" ", "b")]), tmp_path / "out.csv"
    done = bertft("predict", finished / "run", source, "--out", out, "--explain")
    assert done.exit_code == 0, done.output
    assert [row[EXPLAINED] for row in csv.DictReader(out.open(encoding="utf-8"))] == ["", ""]


@pytest.mark.parametrize("keep", ["frozen-features", "counted-words"])
def test_a_baseline_that_was_kept_is_explained_too(keep: str, finished: Path, tmp_path: Path) -> None:
    run(settings_for(finished / "texts.csv", finished / "checkpoint", epochs=1, keep=keep), tmp_path / "run")
    classifier = open_trained(tmp_path / "run", "cpu", explain=True).classifier
    (found,) = classifier.predict(["apple and pear"])
    assert sorted(part.split(" ")[0] for part in str(found.further[EXPLAINED]).split("; ")) == ["and", "apple", "pear"]


@pytest.mark.slow
@pytest.mark.thorough
def test_the_highest_words_of_news_matter_more_than_words_at_random(tmp_path: Path) -> None:
    leads = select_view(load_texts("news"), "lead")
    chosen = leads.select(np.random.default_rng(0).permutation(len(leads))[:500])
    names = leads.features["label"].names
    rows = [(text, names[label]) for text, label in zip(chosen["text"], chosen["label"], strict=True)]
    settings = TaskSettings(str(write_csv(tmp_path / "leads.csv", rows, ("text", "label"))), epochs=2)
    record = run(settings, tmp_path / "run")
    texts = list(record.prepared.parts["test"]["text"])[:EXAMINED]
    tuned = TextClassifier(record.model, load_tokenizer(), record.max_length)
    known = record.prepared, settings, record.max_length, record.model.device
    baselines = {one.name: classifier_of(one, *known) for one in record.baselines[1:]}
    for name, classifier in {"fine-tuned": tuned, **baselines}.items():
        labels = classifier.logits(texts).argmax(axis=1).tolist()
        shares = explainer_of(classifier)(texts, labels)
        found = check_by_deletion(classifier, texts, labels, shares)
        assert found is not None
        assert found.highest > 2 * max(found.drawn), (name, found)
        least, most = min(found.drawn), max(found.drawn)
        print(f"{name}: the probability falls by {found.highest:.3f}, at random by {least:.3f} to {most:.3f}")
        if name == "fine-tuned":
            alone = by_single_deletions(classifier, texts, labels, shares)
            single = check_by_deletion(classifier, texts, labels, alone)
            assert single is not None
            print(f"by the words whose own deletion costs most, a prediction each: {single.highest:.3f}")


def by_single_deletions(
    classifier: TextClassifier, texts: list[str], labels: list[int], shares: list[list[WordShare]]
) -> list[list[WordShare]]:
    """What occlusion, the other way to find the words, gives them."""
    shorter = [without_words(text, [own]) for text, words in zip(texts, shares, strict=True) for own in words]
    of_each = [label for label, words in zip(labels, shares, strict=True) for _ in words]
    odds = iter(log_odds(torch.from_numpy(classifier.logits(shorter)), torch.tensor(of_each)).tolist())
    return [[own._replace(share=-next(odds)) for own in words] for words in shares]
