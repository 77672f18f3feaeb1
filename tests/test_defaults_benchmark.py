"""The study of defaults on the texts of a file: what is drawn, what is told, and one run of all changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_data import labelled_rows, write_csv
from typer.testing import CliRunner

from benchmarks import defaults
from benchmarks.defaults import ALL_CHANGES, BEFORE, LEAST, draw
from bertft_helpers.batching import EncodedTexts
from bertft_helpers.errors import UserError
from bertft_helpers.studies.defaults import Texts


def encoded(*counts: int) -> EncodedTexts:
    """So many texts of each class: two words between [CLS] and [SEP], the first of which tells the class."""
    labels = np.repeat(np.arange(len(counts)), counts).tolist()
    return EncodedTexts([[101, 2000 + label, 3000 + row, 102] for row, label in enumerate(labels)], labels)


def test_classes_are_drawn_in_their_shares_but_none_without_texts() -> None:
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    drawn = draw(labels, 3, 40, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [28, 10, LEAST]
    assert len(set(drawn)) == len(drawn)
    assert draw(labels, 3, 40, seed=0).tolist() == drawn.tolist()
    assert draw(labels, 3, 40, seed=1).tolist() != drawn.tolist()


def test_a_class_with_too_few_texts_is_told() -> None:
    with pytest.raises(UserError, match="a class has only 2 texts beside those that judge, and 4 are drawn"):
        draw(np.repeat([0, 1], [100, 2]), 2, 40, seed=0)


def planted(gain: float) -> pd.DataFrame:
    """Three seeds in which class weights gain so much of both scores, and the other changes nothing."""
    noise = [0.0, 0.01, -0.01]
    return pd.DataFrame(
        {
            "change": change,
            "seed": seed,
            "accuracy": 0.7 + noise[seed] + (gain + noise[seed] / 10) * (change == "class weights"),
            "macro_f1": 0.6 + noise[seed] + (gain + noise[seed] / 10) * (change == "class weights"),
        }
        for seed in range(3)
        for change in (BEFORE, *ALL_CHANGES)
    )


def test_the_page_tells_what_was_drawn_the_scores_and_the_verdicts() -> None:
    page = defaults.page(planted(0.1), Texts(encoded(8, 4), encoded(30, 20), ["a", "b"]))
    assert page.startswith("12 texts of 2 classes (the largest 8, the smallest 4), drawn anew by each of 3 seeds")
    assert "50 others judge." in page
    assert "| as before | 0.700 (" in page
    assert "| class weights | 0.800 (" in page
    assert "- accuracy with class weights lies above as before by 0.100" in page
    assert "- macro F1 with class weights lies above as before by 0.100" in page
    assert "- accuracy with mean of the last layer against as before: the same within 0.02" in page


@pytest.mark.slow
def test_all_changes_learn_from_the_same_texts_and_are_judged_by_the_same() -> None:
    rows = pd.DataFrame(defaults.run_changes(Texts(encoded(8, 4), encoded(10, 10), ["a", "b"]), seed=0))
    assert rows["change"].tolist() == [BEFORE, *ALL_CHANGES]
    assert rows["accuracy"].between(0.5, 1).all()
    steps = rows.set_index("change")["steps"]
    assert steps.drop("100 steps at least").max() <= 15  # one batch an epoch
    assert 15 < steps["100 steps at least"] <= 100


def test_a_file_with_too_few_texts_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "texts.csv", labelled_rows(6))
    app = defaults.typer.Typer()
    app.command()(defaults.defaults)
    done = CliRunner().invoke(app, [str(path), "--text", "words", "--label", "kind", "--judging", "20"])
    assert done.exit_code == 2
    assert "lower --texts or --judging" in done.output
