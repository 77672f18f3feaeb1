"""A wished precision: the limit that reaches it on validation texts, refusals, and what every command then answers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from own_data import labelled_rows, small_run, tiny_checkpoint, write_csv
from typer.testing import CliRunner, Result

from bertft_helpers.cli.main import app
from bertft_helpers.errors import DamagedFileError, MissingError, UserError
from bertft_helpers.evaluation import Predictions
from bertft_helpers.inference import Prediction
from bertft_helpers.own_texts.abstaining import (
    ABSTAIN,
    ANSWERS,
    Abstaining,
    Answers,
    answers_file,
    choose_rule,
    precision_interval,
    read_answers,
    wishes_met,
)
from bertft_helpers.own_texts.run import train_classifier

LADDER = Answers(np.linspace(1.0, 0.5, 21), np.array([True] * 12 + [False] + [True] * 6 + [False] * 2))


def bertft(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("wished", "answered", "limit"),
    [
        (1.0, 12, (LADDER.sure[11] + LADDER.sure[12]) / 2),
        (0.94, 19, (LADDER.sure[18] + LADDER.sure[19]) / 2),  # 18 of 19 are right: 0.947
        (0.85, 21, 0.0),  # 18 of 21: every text is answered
    ],
)
def test_the_limit_answers_most_texts_of_those_that_fulfil_the_wish(wished: float, answered: int, limit: float) -> None:
    rule = choose_rule(LADDER, wished)
    assert (rule.texts, rule.answered) == (21, answered)
    assert rule.limit == pytest.approx(limit)
    chosen = LADDER.sure >= rule.limit
    assert (chosen.sum(), LADDER.right[chosen].mean()) == (answered, rule.precision)


def test_texts_of_one_probability_are_answered_together() -> None:
    answers = Answers(np.array([0.9] * 10 + [0.8] * 4), np.array([True] * 10 + [True, False, False, False]))
    assert choose_rule(answers, 0.95).answered == 10  # 11 of 11 would do, but the text has three others beside it


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    low, high = precision_interval(20, 20)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    rule = choose_rule(Answers(np.ones(20), np.ones(20, bool)), 0.95)
    assert rule.interval == (low, high)
    assert "of 20 answered texts out of 20" in rule.told()
    assert "(95 % interval 0.832 to 1.000; new texts may well get less than 0.95)" in rule.told()


@pytest.mark.parametrize(
    ("answers", "wished", "told"),
    [
        (
            Answers(LADDER.sure, np.arange(21) > 17),
            0.5,
            r"0\.5 cannot be reached: on the 21 validation texts .* was 0\.143, among the 21 surest",
        ),
        (Answers(LADDER.sure[:9], LADDER.right[:9]), 0.5, "only 9 validation texts .* at least 10 are needed"),
        (LADDER, 0.0, "must be above 0 and at most 1"),
        (LADDER, 95.0, "must be above 0 and at most 1"),
        (LADDER, float("nan"), "must be above 0 and at most 1"),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_refused(answers: Answers, wished: float, told: str) -> None:
    with pytest.raises(UserError, match=told):
        choose_rule(answers, wished)


def test_what_is_kept_comes_back_and_damage_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="train it with bertft train"):
        read_answers(tmp_path)
    (tmp_path / ANSWERS).write_bytes(answers_file(LADDER))
    kept = read_answers(tmp_path)
    assert (kept.sure == LADDER.sure).all()
    assert (kept.right == LADDER.right).all()
    (tmp_path / ANSWERS).write_text('{"sure": [1.0], "right": []}')
    with pytest.raises(DamagedFileError, match="two lists of one length"):
        read_answers(tmp_path)


class Sure:
    """Answers with the probability that the text names."""

    notes: tuple[str, ...] = ()
    cut_after = 8

    def __init__(self, label_names: list[str]) -> None:
        self.label_names = label_names

    def predict(self, texts: list[str]) -> list[Prediction]:
        return [Prediction("a", float(text), {"a": float(text), "b": 1 - float(text)}) for text in texts]


def test_below_the_limit_the_answer_is_abstain_and_the_probabilities_stay() -> None:
    rule = choose_rule(LADDER, 1.0)._replace(limit=0.75)
    found = Abstaining(Sure(["a", "b"]), rule).predict(["0.8", "0.75", "0.7"])
    assert [one.label for one in found] == ["a", "a", ABSTAIN]
    assert [one.probability for one in found] == [0.8, 0.75, 0.7]
    with pytest.raises(UserError, match="a class is called 'abstain'"):
        Abstaining(Sure(["a", ABSTAIN]), rule)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts and a finished run in ``run``, whose model may be given other answers."""
    folder = tmp_path_factory.mktemp("given")
    tiny_checkpoint(folder / "checkpoint")
    write_csv(folder / "texts.csv", labelled_rows(10))
    train_classifier(**small_run(folder, folder / "run", keep="counted-words"))
    path = folder / "run" / "model" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["files"].pop(ANSWERS)
    path.write_text(json.dumps(manifest))
    return folder


def keep_answers(given: Path, answers: Answers) -> None:
    (given / "run" / "model" / ANSWERS).write_bytes(answers_file(answers))


def test_predict_abstains_and_evaluate_says_how_much_is_answered(given: Path, tmp_path: Path) -> None:
    data, plain, wary = given / "texts.csv", tmp_path / "plain.csv", tmp_path / "wary.csv"
    assert bertft("predict", given / "run", data, "--out", plain).exit_code == 0
    before = list(csv.DictReader(plain.open(encoding="utf-8")))
    sure = sorted(float(row["predicted_probability"]) for row in before)
    middle = (sure[11] + sure[12]) / 2
    keep_answers(given, Answers(middle + np.repeat([0.001, -0.001], 10), np.repeat([True, False], 10)))
    done = bertft("predict", given / "run", data, "--out", wary, "--min-precision", 0.95)
    assert done.exit_code == 0, done.output
    assert "of 10 answered texts out of 20" in done.stderr
    after = list(csv.DictReader(wary.open(encoding="utf-8")))
    labels = [row["predicted_label"] for row in after]
    assert labels.count(ABSTAIN) == 12
    for own, other in zip(before, after, strict=True):
        expected = own["predicted_label"] if float(own["predicted_probability"]) > middle else ABSTAIN
        assert other == {**own, "predicted_label": expected}
    scored = json.loads(bertft("evaluate", given / "run", data, "--min-precision", 0.95, "--json").stdout)
    right = sum(label == row["kind"] for label, row in zip(labels, after, strict=True))
    assert scored.pop("answered") == {
        "texts": 18,
        "coverage": 18 / 30,
        "precision": right / 18,
        "precision_interval": list(precision_interval(right, 18)),
    }
    assert scored == json.loads(bertft("evaluate", given / "run", data, "--json").stdout)


def test_a_wish_out_of_reach_exits_2_before_anything_is_written(given: Path, tmp_path: Path) -> None:
    keep_answers(given, Answers(np.ones(20), np.arange(20) % 2 == 0))
    out = tmp_path / "a.csv"
    done = bertft("predict", given / "run", given / "texts.csv", "--out", out, "--min-precision", 0.9)
    assert done.exit_code == 2
    assert "a precision of 0.9 cannot be reached" in done.stderr
    assert not out.exists()


def test_a_report_tells_what_wishes_come_to_on_test_texts() -> None:
    logits = np.log(np.array([[0.9, 0.1]] * 8 + [[0.6, 0.4]] * 2))
    test = Predictions(logits, np.array([0] * 7 + [1] + [0, 1]))
    answers = Answers(np.repeat([0.8, 0.7], [20, 10]), np.repeat([True, False], [20, 10]))
    found = {one["wished"]: one for one in wishes_met(answers, test)}
    assert sorted(found) == [0.9, 0.95, 0.99]
    assert found[0.9]["limit"] == pytest.approx(0.75)
    assert found[0.9]["test"]["coverage"] == 0.8
    assert found[0.9]["test"]["precision"] == 7 / 8
    assert wishes_met(Answers(np.ones(20), np.zeros(20, bool)), test) == []
