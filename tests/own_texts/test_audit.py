"""Labels that are probably wrong: planted ones are found among real texts, and what cannot be judged is counted."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_data import labelled_rows, tiny_checkpoint, write_csv
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.data import clean, load_texts, select_view
from bertft_helpers.errors import UserError
from bertft_helpers.own_texts import audit as auditing
from bertft_helpers.own_texts.audit import audit

COLUMNS = {"text_column": "words", "label_column": "kind", "device": "cpu", "on_note": lambda line: None}
TEXTS, SHARE = 300, 0.1


def planted(path: Path) -> set[str]:
    """Write leads of the news of which a tenth have another desk's label; the texts of these."""
    chosen = clean(select_view(load_texts("news"), "lead")).kept.shuffle(seed=0).select(range(TEXTS))
    names, generator = chosen.features["label"].names, np.random.default_rng(0)
    wrong = set(generator.permutation(TEXTS)[: int(SHARE * TEXTS)].tolist())
    rows = [
        (row["text"], names[(row["label"] + (generator.integers(1, len(names)) if n in wrong else 0)) % len(names)])
        for n, row in enumerate(chosen)
    ]
    write_csv(path, rows)
    return {rows[n][0] for n in wrong}


@pytest.mark.slow
def test_planted_wrong_labels_are_found_among_the_news(tmp_path: Path, report: Callable[[str, object], None]) -> None:
    wrong = planted(tmp_path / "texts.csv")
    found = audit(str(tmp_path / "texts.csv"), **COLUMNS)
    suspects = [one.text for one in found.suspects]
    assert found.texts == TEXTS
    assert len(wrong & set(suspects)) / len(wrong) >= 0.6
    assert len(wrong & set(suspects)) / len(suspects) >= 0.6
    assert len(wrong & set(suspects[:15])) >= 12, "the first ones should be the surest"
    report("planted wrong labels among news leads", len(wrong))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_checkpoint(tmp_path_factory.mktemp("checkpoint")))


def test_each_text_is_judged_by_a_regression_that_has_not_seen_it() -> None:
    generator = np.random.default_rng(0)
    features, labels = generator.normal(size=(40, 60)), np.arange(40) % 2  # noise, and more features than texts
    seen = np.abs(auditing._out_of_fold(features, labels)[np.arange(40), labels] - 0.5)
    assert seen.mean() < 0.2, "whoever had seen the texts would know the labels by heart"


def test_a_class_of_two_texts_does_not_take_texts_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    real = auditing.StandardScaler.fit

    def noted(self: object, features: np.ndarray, *more: object) -> object:
        sizes.append(len(features))
        return real(self, features, *more)

    monkeypatch.setattr(auditing.StandardScaler, "fit", noted)
    labels = np.array([0] * 24 + [1] * 24 + [2] * 2)
    found = auditing._out_of_fold(np.random.default_rng(0).normal(size=(50, 4)), labels)
    assert sizes == [40] * 5, "each text should be judged by four fifths of all"
    assert found.shape == (50, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_what_cannot_be_judged_is_counted(checkpoint: str, tmp_path: Path) -> None:
    rows = [
        *labelled_rows(4),
        ("a lonely one", "cheese"),
        ("said twice", "fruit"),
        ("said twice", "birds"),
        ("", "fruit"),
    ]
    found = audit(str(write_csv(tmp_path / "texts.csv", rows)), checkpoint=checkpoint, **COLUMNS)
    assert found.texts == 12
    assert found.left_out == {"two labels": 2, "empty": 1, "single text of its class": 1}
    assert {one.label for one in found.suspects} <= {"birds", "fruit", "tools"}


def test_suspects_come_by_their_row_the_least_probable_label_first(checkpoint: str, tmp_path: Path) -> None:
    rows = labelled_rows(8)
    rows[3] = (rows[3][0], "birds")  # a text about fruit
    path = write_csv(tmp_path / "texts.csv", rows)
    found = audit(str(path), checkpoint=checkpoint, **COLUMNS)
    probabilities = [one.probability for one in found.suspects]
    assert probabilities == sorted(probabilities)
    by_row = {one.row: (one.text, one.label) for one in found.suspects}
    ids = load_texts(path, "words", "kind")["id"][:]
    assert all(rows[ids.index(row)] == kept for row, kept in by_row.items())
    assert all(one.likelier_probability >= one.probability for one in found.suspects)


def test_data_in_which_nothing_can_be_judged_is_refused(checkpoint: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "texts.csv", [("one", "a"), ("two", "a"), ("three", "b")])
    with pytest.raises(UserError, match="has no two classes of at least 2 different texts"):
        audit(str(path), checkpoint=checkpoint, **COLUMNS)


def test_the_command_prints_the_first_and_writes_all(checkpoint: str, tmp_path: Path) -> None:
    path, out = write_csv(tmp_path / "texts.csv", labelled_rows(8)), tmp_path / "suspects.csv"
    words = ["audit", str(path), "--text", "words", "--label", "kind", "--checkpoint", checkpoint, "--device", "cpu"]
    done = CliRunner().invoke(app, [*words, "--out", str(out), "--show", "1"])
    assert done.exit_code == 0, done.output
    with out.open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert f"{len(written)} of 24 labels are suspect" in done.output
    assert done.output.count(", likelier ") == min(1, len(written))
    again = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert again.exit_code == 2
