"""The comparison with peers: all methods have the same texts, and the page says what was found and what was not."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer
from own_data import labelled_rows, settings_for, tiny_checkpoint, write_csv
from typer.testing import CliRunner

from benchmarks import peers
from benchmarks.recipes import OURS, SCRIPT, SETFIT, SVM, TUNED, Division, Recipe, bertft_train, division_of, setfit
from bertft_helpers.errors import RunError
from bertft_helpers.own_texts.prepared import prepare_for
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.pretrained import load_tokenizer

TWO_TEXTS = Division(
    {"train": ["a"] * 6, "validation": ["b"] * 2, "test": ["c", "d"]},
    {"train": [0, 1] * 3, "validation": [0, 1], "test": [0, 1]},
    ["no", "yes"],
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> TaskSettings:
    folder = tmp_path_factory.mktemp("peers")
    return settings_for(write_csv(folder / "texts.csv", labelled_rows(8)), tiny_checkpoint(folder / "checkpoint"))


def division(settings: TaskSettings) -> Division:
    dataset, _ = load_source(settings.source, settings.text_column, settings.label_column)
    return division_of(prepare_for(settings, dataset, load_tokenizer(settings.checkpoint), 64))


def runs(**scores: list[float]) -> pd.DataFrame:
    """Rows by method: an accuracy for every seed, macro F1 a tenth below; ours takes 10 s and each other 1 s."""
    names = {"ours": OURS, "svm": SVM, "script": SCRIPT}
    return pd.DataFrame(
        {
            "method": names[name],
            "seed": seed,
            "accuracy": value,
            "macro_f1": value - 0.1,
            "seconds": 10.0 if name == "ours" else 1.0,
            "saved": "fine-tuned" if name == "ours" else np.nan,
        }
        for name, values in scores.items()
        for seed, value in enumerate(values)
    )


@pytest.mark.slow
def test_all_methods_learn_from_and_answer_the_same_texts(asked: TaskSettings, monkeypatch) -> None:
    given: dict[int, list[Division]] = {0: [], 1: []}

    @contextmanager
    def here() -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(submit=submit)

    def submit(work, recipe: Recipe, settings: TaskSettings, texts: Division) -> SimpleNamespace:
        given[settings.seed].append(texts)
        rows = work(recipe, settings, texts)
        return SimpleNamespace(result=lambda: rows)

    monkeypatch.setattr(peers, "own_process", here)
    rows, last = peers.run_seeds(asked, 2, [OURS, SCRIPT, SVM])
    assert [*rows["method"]] == [OURS, TUNED, SCRIPT, SVM] * 2
    assert [*rows["seed"]] == [0] * 4 + [1] * 4
    assert (rows["seconds"] > 0).all()
    assert rows["accuracy"].between(0, 1).all()
    assert rows["macro_f1"].between(0, 1).all()
    assert all(own == texts[0] for texts in given.values() for own in texts)
    assert given[0][0] != given[1][0] == last
    assert {part: len(texts) for part, texts in last.texts.items()} == {"train": 12, "validation": 6, "test": 6}
    (svm,) = rows[rows["method"] == SVM]["accuracy"].unique()
    assert svm == 1.0  # the class of every text follows from its words


@pytest.mark.slow
def test_bertft_train_on_other_texts_than_its_peers_is_refused(asked: TaskSettings) -> None:
    given = division(asked)
    swapped = given._replace(texts={**given.texts, "test": given.texts["test"][::-1]})
    with pytest.raises(RunError, match="bertft train read other texts"):
        bertft_train(asked, swapped)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("setfit") is None, reason="setfit is not installed: pip install setfit")
def test_setfit_answers_the_same_texts_and_learns_no_longer_than_it_may(asked: TaskSettings) -> None:
    (whole,), (short,) = setfit(asked, division(asked)), setfit(asked, division(asked), seconds=0.0)
    assert whole["method"] == SETFIT
    assert 0 <= whole["accuracy"] <= 1
    assert (whole["pairs"], short["pairs"]) == (1.0, 1 / 30)  # 40 pairs for each of 12 texts are 30 steps of 16


def test_the_page_pairs_by_seed_and_gives_means() -> None:
    page = peers.page(runs(ours=[0.8, 0.9, 0.7], svm=[0.7, 0.8, 0.6], script=[0.8, 0.9, 0.7]), TWO_TEXTS)
    lines = page.splitlines()
    assert lines[0].startswith("10 texts of 2 classes, divided anew by each of 3 seeds: 6 to train on, 2 to choose by")
    assert lines[4].startswith(f"| {OURS} | 0.800 (0.")
    assert lines[4].endswith("| 10 |")
    above = "accuracy of bertft train lies above that of TF-IDF and a linear SVM by 0.100"
    assert f"- {above} (95 % interval +0.100 to +0.100, Holm p < 0.001, 3 seeds)." in lines
    assert f"accuracy of bertft train against that of {SCRIPT}: the same within 0.02" in page
    assert f"{SVM} took at most 10.0% of the processor time" in page
    assert "`bertft train` saved fine-tuned (3 x)." in page
    assert "A score on 2 test texts is coarse" in page
    assert SETFIT not in page


def test_a_peer_that_took_longer_is_told() -> None:
    rows = runs(ours=[0.8, 0.9], svm=[0.7, 0.8])
    rows.loc[(rows["method"] == SVM) & (rows["seed"] == 1), "seconds"] = 15.0
    assert f"{SVM} took MORE TIME, up to 150.0% of the processor time" in peers.page(rows, TWO_TEXTS)


def test_setfit_is_given_the_time_of_the_same_seed(asked: TaskSettings, monkeypatch) -> None:
    given: dict[int, float] = {}

    def take(recipe: Recipe, settings: TaskSettings, texts: Division) -> list[dict[str, object]]:
        if not isinstance(recipe, functools.partial):
            return [{"method": OURS, "seed": settings.seed, "seconds": 5.0 + settings.seed}]
        given[settings.seed] = recipe.keywords["seconds"]
        return [{"method": SETFIT, "seed": settings.seed, "seconds": 1.0}]

    @contextmanager
    def here() -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(submit=lambda work, *rest: SimpleNamespace(result=lambda: take(*rest)))

    monkeypatch.setattr(peers, "own_process", here)
    peers.run_seeds(asked, 2, [OURS, SETFIT])
    assert given == {0: 5.0, 1: 6.0}


def test_how_far_setfit_came_is_told() -> None:
    rows = runs(ours=[0.8, 0.9], svm=[0.7, 0.8])
    rows["pairs"] = np.where(rows["method"] == SVM, np.nan, rows["seed"].map({0: 0.25, 1: 1.0}))
    assert "enough for 25% to 100% of its 40 pairs a text" in peers.page(rows, TWO_TEXTS)


def test_without_setfit_one_sentence_says_that_it_was_left_out(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "setfit", None)  # what an import of it then raises is what a missing one raises
    page = peers.page(runs(ours=[0.8, 0.9], svm=[0.7, 0.8]), TWO_TEXTS, missing=peers.why_without_setfit())
    assert page.splitlines()[-1].startswith("- SetFit was left out (")
    assert page.endswith("`pip install setfit` brings it.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--label", "colour"], "colour"),
        (["--text", "words", "--label", "words"], "name two with --text and --label"),
        (["--text", "words", "--label", "kind", "--checkpoint", "nowhere"], "no checkpoint 'nowhere'"),
    ],
)
def test_what_bertft_train_refuses_is_refused_before_anything_is_trained(asked, arguments: list[str], told) -> None:
    app = typer.Typer()
    app.command()(peers.peers)
    refused = CliRunner().invoke(app, [asked.source, *arguments])
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert refused.stdout == ""
