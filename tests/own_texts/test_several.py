"""Several labels for one text: read as people write them, divided, scored, trained, saved, asked from the folder."""

from __future__ import annotations

import ast
import csv
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from fastapi.testclient import TestClient
from minimal import parameters_of
from own_data import WORDS, run, settings_for, tiny_checkpoint
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import pipeline
from typer.testing import CliRunner, Result

from bertft_helpers.cli.main import app
from bertft_helpers.data import repair
from bertft_helpers.errors import DamagedFileError, UserError
from bertft_helpers.own_texts.attribution import log_odds_alone
from bertft_helpers.own_texts.baselines import FROZEN
from bertft_helpers.own_texts.counted_words import CountedWords, LinearHead
from bertft_helpers.own_texts.deletion import EXAMINED
from bertft_helpers.own_texts.explaining import EXPLAINED, shares_in_network
from bertft_helpers.own_texts.prepared import PARTS
from bertft_helpers.own_texts.several import baselines
from bertft_helpers.own_texts.several.classifier import SeveralLabels
from bertft_helpers.own_texts.several.dividing import divide_by_labels
from bertft_helpers.own_texts.several.explaining import ExplainingLabels, explainer_of_labels
from bertft_helpers.own_texts.several.prepared import targets_of
from bertft_helpers.own_texts.several.report import confident_mistakes
from bertft_helpers.own_texts.several.scores import calibration_of_labels, compare_sets, scores_of_sets
from bertft_helpers.own_texts.several.sources import load_several, read_several, set_names
from bertft_helpers.own_texts.several.winner import choose_method
from bertft_helpers.own_texts.trained import evaluate_file, label_file, open_trained
from bertft_helpers.pretrained import load_encoder
from bertft_helpers.reading.label_lists import LabelLists
from bertft_helpers.reading.report import FOUND_OUT
from bertft_helpers.serving.app import build_app
from bertft_helpers.serving.limits import Limits

NAMES = [*sorted(WORDS)]  # birds, fruit, tools
LISTS = LabelLists()


def several_rows(count: int = 60) -> list[tuple[str, list[str]]]:
    """Different texts whose labels follow from their words; some have none."""
    draw = random.Random(0)
    rows = []
    for number in range(count):
        labels = [name for name in NAMES if draw.random() < 0.45]
        rows.append((" ".join([f"number {number}", *(draw.choice(WORDS[name]) for name in labels)]), labels))
    return rows


def write_lists(path: Path, rows: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """A CSV file with the columns words and kind, the labels as JSON."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("words", "kind"), *((text, json.dumps(labels)) for text, labels in rows)])
    return path


def bertft(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``texts.csv`` and ``checkpoint`` in a folder, and the finished run of the command in ``out``."""
    folder = tmp_path_factory.mktemp("several")
    tiny_checkpoint(folder / "checkpoint")
    write_lists(folder / "texts.csv", several_rows())
    done = bertft("train", folder / "texts.csv", *WITH_LISTS, *training(folder, "out"), "--keep", "fine-tuned")
    assert done.exit_code == 0, done.output
    return folder


WITH_LISTS = ("--text", "words", "--label", "kind", "--several-labels")


def training(folder: Path, out: str) -> list[object]:
    how = ["--checkpoint", folder / "checkpoint", "--epochs", 2, "--learning-rate", 0.01, "--exact", "--device", "cpu"]
    return ["--out", folder / out, *how]


# Reading


def test_three_ways_to_write_labels_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text('text,label\na,"[""sport"", ""uk""]"\nb,[]\nc,"[""uk"",""uk ""]"\n')
    (tmp_path / "list.jsonl").write_text(
        '{"text": "a", "label": ["sport", "uk"]}\n{"text": "b", "label": []}\n{"text": "c", "label": ["uk", "uk"]}\n'
    )
    (tmp_path / "bar.csv").write_text("text,label\na,sport | uk\nb,\nc,uk|\n")
    (tmp_path / "columns.csv").write_text("text,sport,uk\na,1,true\nb,0,0.0\nc,False,1.0\n")
    Dataset.from_dict({"text": ["a", "b", "c"], "label": [["sport", "uk"], [], ["uk"]]}).to_parquet(
        tmp_path / "l.parquet"
    )
    ways = {
        "list.csv": LISTS,
        "list.jsonl": LISTS,
        "l.parquet": LISTS,
        "bar.csv": LabelLists(separator="|"),
        "columns.csv": LabelLists(columns=("sport", "uk")),
    }
    for name, lists in ways.items():
        found = read_several(str(tmp_path / name), "text", "label", lists, FOUND_OUT)
        assert (found.texts, found.labels) == (["a", "b", "c"], [["sport", "uk"], [], ["uk"]]), name


def test_the_same_text_with_other_labels_is_removed_and_so_is_its_repetition(tmp_path: Path) -> None:
    rows = several_rows()
    data = write_lists(tmp_path / "texts.csv", [*rows, rows[0], (rows[1][0], [*rows[1][1], "other"])])
    facts = json.loads(bertft("train", data, *WITH_LISTS, "--dry-run", "--json").stdout)
    assert facts["removed"] == {"repeated": 1, "different labels for one text": 2}
    assert (facts["kept"], facts["label_names"]) == (59, NAMES)


def test_a_file_in_which_every_text_has_one_label_is_told_of_the_better_way(tmp_path: Path) -> None:
    data = write_lists(tmp_path / "texts.csv", [(f"text {n}", [NAMES[n % 3]]) for n in range(12)])
    settings = settings_for(data, tmp_path, several=LISTS)
    dataset, reading = load_several(settings)
    assert any("every text has exactly one label" in note for note in reading.notes)
    assert set_names(dataset)[:3] == [["birds"], ["fruit"], ["tools"]]


# Dividing


def test_every_label_and_its_absence_is_in_every_part() -> None:
    generator = np.random.default_rng(0)
    targets = generator.random((200, 5)) < [0.02, 0.1, 0.5, 0.9, 0.98]
    rows = divide_by_labels(targets, list("abcde"), seed=0, validation=0.2, test=0.2)
    assert sorted(row for own in rows.values() for row in own) == list(range(200))
    assert [abs(len(rows[part]) - 40) <= 4 for part in ("validation", "test")] == [True, True]
    for own in rows.values():
        assert targets[own].any(axis=0).all()
        assert not targets[own].all(axis=0).any()
    assert np.abs(targets[rows["test"]].mean(axis=0) - targets.mean(axis=0)).max() < 0.05
    assert rows == divide_by_labels(targets, list("abcde"), seed=0, validation=0.2, test=0.2)
    assert rows != divide_by_labels(targets, list("abcde"), seed=1, validation=0.2, test=0.2)


def test_rare_labels_that_share_texts_are_divided_where_it_can_be_done() -> None:
    targets = np.zeros((30, 3), dtype=bool)
    for label, texts in enumerate([(0, 3, 4), (1, 5, 6), (0, 1, 2)]):  # by chance two of the last ones meet in a part
        targets[list(texts), label] = True
    rows = divide_by_labels(targets, list("abc"), seed=0, validation=0.2, test=0.2)
    assert all(targets[own].sum(axis=0).tolist() == [1, 1, 1] for own in rows.values())


# Scores


def test_scores_by_hand_count_empty_sets_as_exact_only() -> None:
    targets = np.array([[1, 1], [0, 1], [0, 0]], dtype=bool)
    said = np.array([[1, 0], [0, 1], [0, 0]], dtype=bool)
    scores = scores_of_sets(targets, said, {"a": 0.5, "b": 0.25})
    assert scores["micro_f1"] == pytest.approx(4 / 5)  # 2 hits, 2 said, 3 true
    assert scores["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["samples_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["exact"] == pytest.approx(2 / 3)
    assert scores["labels"][1] == {
        "label": "b",
        "threshold": 0.25,
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "texts": 2,
    }


def test_scores_are_scikit_learns_and_lie_in_their_intervals() -> None:
    generator = np.random.default_rng(1)
    targets, said = (generator.random((80, 4)) < 0.3 for _ in range(2))
    scores = scores_of_sets(targets, said, dict.fromkeys("abcd", 0.5))
    for measured, kind in ((precision_score, "precision"), (recall_score, "recall")):
        assert scores[f"micro_{kind}"] == pytest.approx(measured(targets, said, average="micro"))
    for kind in ("micro", "macro", "samples"):
        assert scores[f"{kind}_f1"] == pytest.approx(f1_score(targets, said, average=kind, zero_division=0))
    draws = [
        f1_score(targets[rows], said[rows], average="micro")
        for rows in (generator.integers(0, 80, 80) for _ in range(100))
    ]
    np.testing.assert_allclose(scores["micro_f1_interval"], np.quantile(draws, [0.025, 0.975]), atol=0.04)


def test_two_methods_differ_where_the_interval_of_the_difference_leaves_out_zero() -> None:
    generator = np.random.default_rng(2)
    targets = generator.random((100, 3)) < 0.4
    noisy = targets ^ (generator.random((100, 3)) < 0.3)
    found = compare_sets(targets, targets, noisy)
    assert (found.outcome, found.low > 0) == ("better", True)
    assert found.difference == pytest.approx(1 - f1_score(targets, noisy, average="micro"))
    assert compare_sets(targets, noisy, targets).outcome == "worse"
    assert compare_sets(targets, noisy, noisy) == ("no clear difference", 0.0, 0.0, 0.0)


def test_a_baseline_is_kept_where_it_is_clearly_better_on_validation_texts() -> None:
    generator = np.random.default_rng(3)
    targets = generator.random((100, 3)) < 0.4
    wrong = targets ^ (generator.random((100, 3)) < 0.3)
    ours, good, alike = (
        baselines.Method(name, "", {"validation": answers})
        for name, answers in {"fine-tuned": wrong, "counted words": targets, "frozen features": wrong}.items()
    )
    assert choose_method(targets, ours, [good, alike]).name == "counted words"
    assert choose_method(targets, ours, [alike]).name == "fine-tuned"
    assert choose_method(targets, ours, [good], "fine-tuned").name == "fine-tuned"


def test_the_answers_farthest_beyond_their_threshold_are_shown() -> None:
    targets = np.array([[1, 0], [0, 1]], dtype=bool)
    probabilities = np.array([[0.3, 0.2], [0.9, 0.1]])
    found = confident_mistakes(targets, probabilities, [0.5, 0.4])
    assert [tuple(one) for one in found] == [(1, 0, False, 0.9), (1, 1, True, 0.1), (0, 0, True, 0.3)]


# Baselines


def test_the_most_frequent_set_may_be_the_empty_one() -> None:
    labels = {"train": [[0, 0], [1, 0], [0, 0]], "validation": [[1, 1]], "test": [[0, 1], [1, 0]]}
    found = baselines.most_frequent_set({part: np.array(own, dtype=bool) for part, own in labels.items()})
    assert found.answers["test"].tolist() == [[False, False]] * 2


def test_the_head_on_frozen_vectors_is_scikit_learns_one_against_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    vectors = {part: generator.normal(3, 2, (50, 6)) for part in ("train", "validation", "test")}
    labels = {part: own[:, :3] + generator.normal(size=(50, 3)) > 3 for part, own in vectors.items()}
    monkeypatch.setattr(baselines, "STRENGTHS", {FROZEN: (0.1,)})
    monkeypatch.setattr(baselines, "mean_vectors", lambda _, examples, *how: examples)
    found = baselines.frozen_features(None, vectors, labels)
    whole = make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(C=0.1, max_iter=1000)))
    whole.fit(vectors["train"], labels["train"].astype(int))
    logits = vectors["test"] @ found.head.weight.T + found.head.bias
    np.testing.assert_allclose(logits, whole.decision_function(vectors["test"]), atol=1e-8)


# A run


def test_a_run_says_its_scores_and_leaves_model_thresholds_and_report(given: Path) -> None:
    out = given / "out"
    results = json.loads((out / "results.json").read_text())
    assert list(results["thresholds"]) == results["label_names"] == NAMES
    assert json.loads((out / "model" / "thresholds.json").read_text()) == results["thresholds"]
    assert [row["name"] for row in results["baselines"]] == ["most frequent set", "counted words", "frozen features"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"{results['test']['micro_f1']:.3f}" in page
    for part in ("samples F1", "most frequent set", "Confident mistakes", "threshold", "Deciding words"):
        assert part in page
    summary = (out / "summary.html").read_text(encoding="utf-8")
    assert f"{100 * results['test']['micro_precision']:.1f} % were right" in summary
    again = bertft("train", given / "texts.csv", *WITH_LISTS, *training(given, "out"), "--keep", "fine-tuned", "--json")
    assert json.loads(again.stdout) == results
    other = bertft("train", given / "texts.csv", *WITH_LISTS[:4], "--label-separator", "|", *training(given, "out"))
    assert other.exit_code == 2


@pytest.mark.slow
def test_the_saved_model_gives_equal_probabilities_in_transformers(given: Path) -> None:
    texts = [repair(text) for text, _ in several_rows(8)]
    ours = open_trained(given / "out", "cpu").classifier
    theirs = pipeline("text-classification", str(given / "out" / "model"), top_k=None)(texts)
    assert theirs[0][0]["score"] > 0
    for one, answer in zip(ours.predict(texts), theirs, strict=True):
        assert {own["label"]: pytest.approx(own["score"], abs=1e-5) for own in answer} == one.probabilities
        limits = dict(zip(ours.label_names, ours.thresholds, strict=True))
        assert one.labels == [name for name in NAMES if one.probabilities[name] >= limits[name]]


def test_labels_that_predict_wrote_are_read_as_labels_again(given: Path, tmp_path: Path) -> None:
    label_file(given / "out", given / "texts.csv", tmp_path / "predicted.csv", device="cpu", on_note=lambda _: None)
    with open(tmp_path / "predicted.csv", encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert set(json.loads(first["predicted_probabilities"])) == set(NAMES)
    said: list[str] = []
    scores = evaluate_file(
        given / "out", tmp_path / "predicted.csv", label_column="predicted_labels", device="cpu", on_note=said.append
    )
    assert (scores["exact"], scores["micro_f1"], scores["texts"]) == (1.0, 1.0, 60)


def test_evaluate_reads_labels_written_in_another_way_than_those_of_training(given: Path, tmp_path: Path) -> None:
    (tmp_path / "bar.csv").write_text(
        "words,kind\n" + "".join(f"{text},{'|'.join(labels)}\n" for text, labels in several_rows())
    )
    one = bertft("evaluate", given / "out", tmp_path / "bar.csv", "--label-separator", "|", "--json")
    other = bertft("evaluate", given / "out", given / "texts.csv", "--json")
    assert json.loads(one.stdout) == json.loads(other.stdout)
    assert "samples F1" in bertft("evaluate", given / "out", given / "texts.csv").stdout


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            ["predict", "out", "texts.csv", "--min-precision", "0.9"],
            "--min-precision is for models that give a text one",
        ),
        (["predict", "out", "texts.csv", "--flag-unfamiliar"], "--flag-unfamiliar is for models that give a text one"),
        (["serve", "out", "--min-precision", "0.9"], "--min-precision is for models that give a text"),
        (["audit", "texts.csv", "--text", "words", "--label", "kind"], "A text has one label here"),
        (["train", "texts.csv", "--text", "words", "--label", "kind", "--dry-run"], "with --several-labels"),
        (["evaluate", "out", "single.csv"], "'birds' instead of a list in row 2"),
        (["evaluate", "out", "unknown.csv"], "the data has the labels fish, which the model does not know"),
    ],
)
def test_what_is_not_made_for_several_labels_says_so(
    given: Path, command: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(given)
    (given / "single.csv").write_text("words,kind\nan owl,birds\na fig,fruit\n")
    write_lists(given / "unknown.csv", [("an eel", ["fish"])])
    done = bertft(*command)
    assert (done.exit_code, told in done.stderr) == (2, True), done.output


@pytest.mark.slow
def test_a_run_that_is_interrupted_ends_as_one_that_is_not(given: Path, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, planned: int, texts: int) -> None:
        if done == 7:  # in the second epoch
            raise Killed

    settings = settings_for(given / "texts.csv", given / "checkpoint", several=LISTS, exact=True)
    whole = run(settings, tmp_path / "whole")
    with pytest.raises(Killed):
        run(settings, tmp_path / "out", kill)
    said: list[str] = []
    resumed = run(settings, tmp_path / "out", said=said)
    assert any("resumed from state-" in line for line in said)
    assert any("yes or no right" in line and "accuracy" not in line for line in said if line.startswith("epoch"))
    first, second = parameters_of(whole.model), parameters_of(resumed.model)
    assert all(torch.equal(first[name], second[name]) for name in first)
    np.testing.assert_array_equal(whole.predictions["test"].logits, resumed.predictions["test"].logits)
    assert whole.results["test"] == resumed.results["test"]
    assert whole.results["thresholds"] == resumed.results["thresholds"]


@pytest.mark.parametrize(
    ("keep", "changes"),
    [
        ("frozen-features", {}),
        ("counted-words", {}),
        ("fine-tuned", {"policy": "windows", "max_length": 8}),
        ("frozen-features", {"policy": "windows", "max_length": 8}),
    ],
)
def test_what_is_kept_answers_from_its_folder(
    given: Path, tmp_path: Path, keep: str, changes: dict[str, object]
) -> None:
    how = {"several": LISTS, "exact": True, "epochs": 1, "keep": keep, **changes}
    record = run(settings_for(given / "texts.csv", given / "checkpoint", **how), tmp_path / "out")
    loaded = SeveralLabels.load(tmp_path / "out" / "model")
    texts = list(record.prepared.parts["test"]["text"])
    probabilities = torch.from_numpy(record.predictions["test"].logits).sigmoid().numpy()
    np.testing.assert_allclose(loaded.probabilities(texts), probabilities, atol=1e-5)
    if keep == "frozen-features" and not changes:
        classify = pipeline("text-classification", str(tmp_path / "out" / "model"), top_k=None)
        for row, text in zip(probabilities[:4], texts, strict=False):
            assert {one["label"]: one["score"] for one in classify([text])[0]} == pytest.approx(
                dict(zip(NAMES, row.tolist(), strict=True)), abs=1e-5
            )


def test_a_frozen_encoder_that_is_saved_is_told_as_it_will_be_used(given: Path, tmp_path: Path) -> None:
    how = {"several": LISTS, "epochs": 1, "keep": "frozen-features", "precision": "bfloat16"}
    record = run(settings_for(given / "texts.csv", given / "checkpoint", **how), tmp_path / "out")
    labels = {part: targets_of(record.prepared, part) for part in PARTS}
    in_float32 = baselines.frozen_features(load_encoder(given / "checkpoint"), record.prepared.examples, labels)
    told = record.baselines[-1]
    assert told.head is not None
    assert in_float32.head is not None
    np.testing.assert_array_equal(told.head.weight, in_float32.head.weight)


def test_answers_in_16_bits_say_so(given: Path) -> None:
    said = open_trained(given / "out", "cpu", "bfloat16").classifier.notes
    assert [note for note in said if note.startswith("predicted in bfloat16")] != []


def test_a_service_answers_with_labels_and_probabilities(given: Path) -> None:
    classifier = open_trained(given / "out", "cpu").classifier
    client = TestClient(build_app(classifier, "several", Limits(texts=5, rate=100), ["testserver"]))
    (told,) = client.post("/predict", json={"texts": ["owl and fig"]}).json()["predictions"]
    (own,) = classifier.predict(["owl and fig"])
    assert (told["labels"], told["probabilities"]) == (own.labels, pytest.approx(own.probabilities))


# Probabilities


def test_the_calibration_of_a_label_is_that_of_its_yes_and_no_alone() -> None:
    sure = np.log(9)  # 0.9 for yes; -sure is 0.1, so 0.9 for no
    logits = np.array([[sure, sure], [sure, -sure]] * 50)
    targets = np.array([[True, True], [True, False]] * 50)
    targets[:20, 0] = False  # a fifth of the answers is wrong; of the other label none is
    one, other = calibration_of_labels(targets, logits, ["one", "other"])
    assert (one["label"], one["expected_error"]) == ("one", pytest.approx(0.1))
    assert other["expected_error"] == pytest.approx(0.1)
    assert 0 < one["error_by_luck"] == other["error_by_luck"] < 0.1


def test_the_report_says_how_honest_the_probabilities_of_each_label_are(given: Path) -> None:
    found = json.loads((given / "out" / "results.json").read_text())["calibration"]
    assert [row["label"] for row in found] == NAMES
    page = (given / "out" / "report.html").read_text(encoding="utf-8")
    assert all(f'<td class="n">{row["expected_error"]:.3f}</td>' in page for row in found)


# Which words decided


def test_each_given_label_has_its_own_words_in_table_and_service(given: Path, tmp_path: Path) -> None:
    model = shutil.copytree(given / "out" / "model", tmp_path / "model")
    (model / "thresholds.json").write_text(json.dumps({"birds": 0.0, "fruit": 0.0, "tools": 1.0}))
    (tmp_path / "in.csv").write_text("text\nowl and fig\n\n", encoding="utf-8")
    done = bertft("predict", model, tmp_path / "in.csv", "--out", tmp_path / "out.csv", "--explain")
    assert done.exit_code == 0, done.output
    assert "explaining runs the model 8 times" in done.stderr
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    words = json.loads(row[EXPLAINED])
    assert [*words] == json.loads(row["predicted_labels"]) == ["birds", "fruit"]
    assert {part.split(" ")[0] for part in words["birds"].split("; ")} == {"owl", "and", "fig"}
    assert words["birds"] != words["fruit"]
    (model / "thresholds.json").write_text(json.dumps(dict.fromkeys(NAMES, 1.0)))
    (nothing,) = open_trained(model, "cpu", explain=True).classifier.predict(["owl and fig"])
    assert (nothing.labels, nothing.further) == ([], {EXPLAINED: {}})
    (model / "thresholds.json").write_text(json.dumps({"birds": 0.0, "fruit": 0.0, "tools": 1.0}))
    classifier = open_trained(model, "cpu", explain=True).classifier
    client = TestClient(build_app(classifier, "several", Limits(texts=5, rate=100), ["testserver"]))
    (told,) = client.post("/predict", json={"texts": ["owl and fig"]}).json()["predictions"]
    assert told["further"] == {EXPLAINED: words}


def test_the_shares_of_a_label_add_up_to_its_own_logit_and_leave_the_other_labels_out(given: Path) -> None:
    scorer = SeveralLabels.load(given / "out" / "model").classifier
    texts = ["owl and fig", "hammer"]
    found = shares_in_network(scorer, texts, [0, 2], points=64, odds=log_odds_alone)
    masked = [" ".join("[MASK]" for _ in scorer.tokenizer.tokenize(text)) for text in texts]
    ways = scorer.logits(texts) - scorer.logits(masked)
    assert [sum(own.share for own in words) for words in found] == pytest.approx([ways[0, 0], ways[1, 2]], abs=1e-2)


def test_counted_words_of_a_label_have_their_weight_times_their_count() -> None:
    counter = TfidfVectorizer(norm=None, use_idf=False).fit(["fig owl"])
    head = LinearHead(np.array([[1.0, -2.0], [3.0, 4.0]]), np.array([5.0, 6.0]))
    classifier = SeveralLabels(CountedWords(counter, head, ["a", "b"]), [0.0, 0.0])
    (found,) = ExplainingLabels(classifier, explainer_of_labels(classifier.classifier)).predict(["owl, fig and owl"])
    assert found.further[EXPLAINED] == {"a": "owl -4.00; fig +1.00; and +0.00", "b": "owl +8.00; fig +3.00; and +0.00"}


def test_the_report_checks_the_words_of_given_labels_by_deleting_them(given: Path) -> None:
    explained = json.loads((given / "out" / "results.json").read_text())["explained"]
    assert explained["deletion"]["texts"] <= EXAMINED
    assert all(one["predicted"] in NAMES for one in explained["examples"])
    page = (given / "out" / "report.html").read_text(encoding="utf-8")
    assert f"falls by {explained['deletion']['highest']:.3f} on average" in page


# Exported


@pytest.mark.slow
def test_an_exported_model_gives_the_same_labels_by_every_command_and_by_the_lines_of_its_card(
    given: Path, tmp_path: Path
) -> None:
    data, out = given / "texts.csv", tmp_path / "onnx"
    found = json.loads(bertft("export", given / "out", "--out", out, "--json").stdout)
    assert (found["changed"], found["score"], found["texts"]) == (0, "micro F1", 12)  # the run's test part
    assert found["difference"] < 1e-5
    one, other = (json.loads(bertft("evaluate", own, data, "--json").stdout) for own in (given / "out", out))
    assert one == other
    texts = ["owl and fig", "a hammer"]
    answers = open_trained(out, "cpu").classifier.predict(texts)
    (lines,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    program = lines.replace("<this folder>", str(out)).replace('["a text"]', repr(texts))
    program += "\nimport sys\nassert not {'torch', 'transformers'} & {*sys.modules}\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    probabilities, labels = (ast.literal_eval(line) for line in done.stdout.splitlines())
    assert labels == [own.labels for own in answers]
    assert probabilities == [pytest.approx(own.probabilities, abs=1e-5) for own in answers]
    assert "an exported model has no gradients" in bertft("predict", out, data, "--explain").stderr
    small = bertft("export", given / "out", "--out", tmp_path / "small", "--int8", "--data", data, "--most-lost", 1)
    assert "compared on 60 texts" in small.stdout, small.output
    assert "micro F1" in small.stdout


def test_thresholds_may_be_edited_but_stay_probabilities_of_the_labels(given: Path, tmp_path: Path) -> None:
    model = shutil.copytree(given / "out" / "model", tmp_path / "model")
    thresholds = json.loads((model / "thresholds.json").read_text())
    (model / "thresholds.json").write_text(json.dumps({**thresholds, "fruit": 0.0, "tools": 1.0}))
    assert all(
        "fruit" in one.labels and "tools" not in one.labels for one in SeveralLabels.load(model).predict(["a", "b"])
    )
    for content, told in (
        ({**thresholds, "fruit": 2}, "has the threshold 2 for 'fruit'; it must be a probability"),
        ({"fruit": 0.5}, "is for other labels"),
        ([0.5], "is damaged"),
    ):
        (model / "thresholds.json").write_text(json.dumps(content))
        with pytest.raises((UserError, DamagedFileError), match=told):
            SeveralLabels.load(model)
    (model / "thresholds.json").unlink()
    with pytest.raises(DamagedFileError, match=r"thresholds\.json is missing"):
        SeveralLabels.load(model)


def from_elsewhere(given: Path, folder: Path, problem_type: str) -> Path:
    """The run's model as another tool would have saved it."""
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((given / "out" / "model" / name).read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "problem_type": problem_type}))
    return folder


def test_a_model_from_elsewhere_answers_from_a_half_on_and_says_so(given: Path, tmp_path: Path) -> None:
    classifier = open_trained(from_elsewhere(given, tmp_path, "multi_label_classification"), "cpu").classifier
    assert any("a label is given from a probability of 0.5 on" in note for note in classifier.notes)
    assert classifier.thresholds.tolist() == [0.5] * 3


def test_a_model_for_one_label_takes_no_lists_of_labels(given: Path, tmp_path: Path) -> None:
    model = from_elsewhere(given, tmp_path, "single_label_classification")
    columns = ("--text", "words", "--label", "kind")
    for options, told in (
        ((), "A text has one label here"),
        (("--several-labels",), "gives a text one label: leave out"),
    ):
        done = bertft("evaluate", model, given / "texts.csv", *columns, *options)
        assert (done.exit_code, told in done.stderr) == (2, True), done.output
