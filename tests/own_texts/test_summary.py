"""The page for whoever decides: its sentences bear the numbers of the results, and no name acts as a page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from own_data import finished_run

from bertft_helpers.own_texts.calibration import Abstention, Calibration
from bertft_helpers.own_texts.summary import Summary, duration, summary_of, summary_page

SUMMARY = Summary(
    source="letters.csv",
    label_names=["ham", "spam"],
    texts={"train": 1200, "validation": 400, "test": 400},
    accuracies=[0.95, 0.94],
    interval=(0.925, 0.97),
    baselines={"always answering the largest class": 0.6, "counting words": 0.9},
    verdict="Fine-tuning beat every baseline.",
    classes=[{"label": "ham", "recall": 0.99, "texts": 250}, {"label": "spam", "recall": 0.88, "texts": 150}],
    confusion=("spam", "ham", 17),
    calibration=Calibration(1.5, 0.01, 0.04, 0.02, 0.2, 0.3),
    abstention=Abstention(0.8, 400, 0.9, 0.98, 0.7),
    training_seconds=300.0,
    device="cpu",
    texts_per_second=50.0,
    megabytes=90.9,
)


def words(page: str) -> str:
    """What a reader sees of a page, on one line."""
    return " ".join(re.sub(r"<[^>]*>", "", page[page.index("<body>") :]).split())


def test_the_sentences_bear_the_numbers() -> None:
    told = words(summary_page(SUMMARY))
    for sentence in (
        "one of 2 classes: ham, spam.",
        "On 400 other texts, which it had never seen, it was right 95.0 % of the time "
        "(95 % interval 92.5 % to 97.0 %).",
        "Trained 2 times from different random starts, it was right 95.0 %, 94.0 % of the time;",
        "always answering the largest class would be right 60.0 % of the time, counting words would be right 90.0 %",
        "It got 20 of the 400 test texts wrong.",
        "most trouble with spam: of 150 such texts it recognised 88.0 %.",
        "to answer ham where spam is right, which happened 17 times.",
        "whose probability is below 0.80. In the test that was 10.0 % of the texts",
        "right on 98.0 % of those that it kept, and on 70.0 % of those",
        "That takes away 12 of its 20 mistakes.",
        "Training took 5 minutes on cpu, once. There it labels about 50 texts a second, so 10,000 texts like these "
        "take 3 minutes; the model is a file of 91 MB.",
        "expect about 50 wrong answers; if a person reads the 100 doubtful ones, about 18 wrong answers go "
        "through unread.",
    ):
        assert sentence in told


@pytest.mark.parametrize(
    ("error", "told"),
    [(0.01, "look honest: they differ"), (0.05, "Don't take the probabilities literally: they differ")],
)
def test_an_error_that_luck_explains_is_not_called_one(error: float, told: str) -> None:
    page = summary_page(replace(SUMMARY, calibration=SUMMARY.calibration._replace(expected_error=error)))
    assert told in words(page)


def test_a_model_without_a_mistake_gets_the_rule_of_three_and_no_limit() -> None:
    page = summary_page(replace(SUMMARY, accuracies=[1.0], confusion=None, abstention=None))
    assert "with 400 texts, up to 0.8 % of new ones could still be wrong" in words(page)
    assert "no probability below which" in words(page)


def test_a_class_of_few_texts_is_not_called_the_weakest() -> None:
    rare = {"label": "rare", "recall": 0.0, "texts": 9}
    assert replace(SUMMARY, classes=[*SUMMARY.classes, rare]).weakest["label"] == "spam"
    assert replace(SUMMARY, classes=[rare]).weakest is None


def test_a_limit_that_leaves_most_texts_to_a_person_is_called_that() -> None:
    little = (
        "72.0 % of the texts, more than half of them, so the model saves little reading so far; the model was right"
    )
    assert little in words(summary_page(replace(SUMMARY, abstention=Abstention(0.8, 400, 0.28, 0.98, 0.7))))
    assert "saves little reading" not in words(summary_page(SUMMARY))


def test_counted_words_are_not_a_file_of_nothing() -> None:
    assert "a file of 91 MB." in words(summary_page(SUMMARY))
    assert "a file of less than 1 MB." in words(summary_page(replace(SUMMARY, megabytes=0.3)))


def test_names_of_the_data_are_text() -> None:
    hostile = "<script>alert(1)</script>"
    page = summary_page(replace(SUMMARY, label_names=[hostile, "x"], source=hostile, notes=[hostile]))
    assert "<script" not in page
    assert words(page).count("&lt;script&gt;") == 4


def test_a_finished_run_has_the_page_from_what_stands_in_its_results(tmp_path: Path) -> None:
    run = finished_run(tmp_path) / "run"
    results = json.loads((run / "results.json").read_text())
    page = (run / "summary.html").read_text()
    assert page == summary_page(summary_of(results))
    assert f"right {100 * results['test']['accuracy']:.1f} % of the time" in words(page)
    manifest = json.loads((run / "model" / "manifest.json").read_text())
    assert manifest["temperature"] == results["calibration"]["temperature"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "a second"), (45, "45 seconds"), (90, "2 minutes"), (5000, "83 minutes"), (7200, "2 hours")],
)
def test_a_time_is_told_as_a_person_would(seconds: float, told: str) -> None:
    assert duration(seconds) == told
