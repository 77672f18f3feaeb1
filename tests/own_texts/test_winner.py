"""What a run saves: the method that does better on validation texts, in a folder that every command uses alike."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from accidents import befallen, killed_before
from own_data import labelled_rows, run, settings_for, small_run, tiny_checkpoint, write_csv
from transformers import BertConfig, BertModel, pipeline
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.errors import RunError, UserError
from bertft_helpers.evaluation import Predictions
from bertft_helpers.own_texts.baselines import Baseline
from bertft_helpers.own_texts.counted_words import LinearHead
from bertft_helpers.own_texts.export import export
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.run import train_classifier
from bertft_helpers.own_texts.trained import evaluate_file, open_trained
from bertft_helpers.own_texts.winner import choose, kind_of
from bertft_helpers.pretrained import load_tokenizer

METHODS = {"frozen-features": "frozen features", "counted-words": "counted words", "fine-tuned": "fine-tuned"}
HEAD = LinearHead(np.zeros((2, 1)), np.zeros(2))


def tuned(right: int, texts: int = 20) -> Predictions:
    """Predictions of texts of class 0, of which the first ``right`` are right."""
    answers = np.repeat([0, 1], [right, texts - right])
    return Predictions(np.eye(2)[answers], np.zeros(texts, int))


def baseline(name: str, right: int, texts: int = 20) -> Baseline:
    return Baseline(name, "", np.zeros(0), 0.0, np.repeat([0, 1], [right, texts - right]), HEAD)


@pytest.mark.parametrize(
    ("right", "saved"),
    [
        ((10, 16, 12), "frozen features"),  # six texts that only the baseline gets right: p = 2 / 2 ** 6 = 0.03
        ((10, 15, 12), "fine-tuned"),  # five: p = 0.06
        ((10, 16, 17), "counted words"),
        ((17, 10, 10), "fine-tuned"),
    ],
)
def test_a_baseline_is_saved_where_it_does_clearly_better_on_validation(right: tuple, saved: str) -> None:
    others = [baseline("frozen features", right[1]), baseline("counted words", right[2])]
    winner = choose(tuned(right[0]), others)
    assert winner.name == saved
    assert "on the 20 validation texts (accuracy 0." in winner.why


def test_the_reason_bears_the_numbers() -> None:
    assert choose(tuned(10), [baseline("counted words", 16)]).why == (
        "The model that is saved is the baseline counted words: it did better on the 20 validation texts "
        "(accuracy 0.800 against 0.500 of fine-tuning, p = 0.031)."
    )


def test_what_is_asked_for_is_saved_whatever_does_better() -> None:
    winner = choose(tuned(20), [baseline("counted words", 1)], "counted-words")
    assert winner == (
        "counted words",
        "The model that is saved is the baseline counted words, as --keep counted-words asks.",
    )


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    tiny_checkpoint(folder / "checkpoint")
    write_csv(folder / "texts.csv", labelled_rows())
    return folder


@pytest.fixture(scope="module")
def records(given: Path) -> dict[str, TaskRecord]:
    """A run for each method that can be kept, in a folder of its name."""
    settings = {keep: settings_for(given / "texts.csv", given / "checkpoint", epochs=1, keep=keep) for keep in METHODS}
    return {keep: run(own, given / keep) for keep, own in settings.items()}


def bertft(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("keep", METHODS)
def test_the_saved_model_scores_as_the_report_says(records: dict[str, TaskRecord], given: Path, keep: str) -> None:
    record, results = records[keep], records[keep].results
    rows = record.prepared.parts["test"]
    names = record.prepared.label_names
    write_csv(given / "test.csv", [(row["text"], names[row["label"]]) for row in rows])
    scores = json.loads(bertft("evaluate", given / keep, given / "test.csv", "--json"))
    assert {name: scores[name] for name in results["test"]} == json.loads(json.dumps(results["test"]))
    assert results["saved"]["name"] == METHODS[keep]
    page = (given / keep / "report.html").read_text()
    assert f"as --keep {keep} asks" in page
    assert f"as --keep {keep} asks" in (given / keep / "summary.html").read_text()


@pytest.mark.parametrize("keep", METHODS)
def test_prediction_uses_every_method_alike(records: dict[str, TaskRecord], given: Path, keep: str) -> None:
    predicted = records[keep].predictions["test"].classes
    bertft("predict", given / keep, given / "texts.csv", "--out", given / f"{keep}.csv")
    with open(given / f"{keep}.csv", encoding="utf-8") as file:
        answers = {row["words"]: row["predicted_label"] for row in csv.DictReader(file)}
    names = records[keep].prepared.label_names
    texts = records[keep].prepared.parts["test"]["text"]
    assert [answers[text] for text in texts] == [names[number] for number in predicted]


def test_transformers_answers_as_predict_does_from_a_frozen_encoder(
    records: dict[str, TaskRecord], given: Path
) -> None:
    texts = list(records["frozen-features"].prepared.parts["test"]["text"])
    classifier = open_trained(given / "frozen-features", "cpu").classifier
    found = pipeline("text-classification", model=str(given / "frozen-features" / "model"))(texts)
    assert [row["label"] for row in found] == [one.label for one in classifier.predict(texts)]


def test_the_frozen_encoder_answers_as_the_baseline_in_the_report(records: dict[str, TaskRecord]) -> None:
    record = records["frozen-features"]
    (frozen,) = (one for one in record.baselines if one.name == "frozen features")
    assert (record.predictions["test"].classes == frozen.predictions).all()
    assert (record.predictions["validation"].classes == frozen.validation).all()
    assert record.results["test"]["accuracy"] == record.results["baselines"][2]["accuracy"]


@pytest.mark.slow
def test_a_frozen_encoder_is_exported_and_counted_words_are_refused(
    records: dict[str, TaskRecord], given: Path
) -> None:
    assert export(given / "frozen-features", given / "onnx").changed == 0
    with pytest.raises(UserError, match="counts words and is no neural network, so ONNX cannot hold it"):
        export(given / "counted-words", given / "none")


def test_counted_words_have_no_other_precision(records: dict[str, TaskRecord], given: Path) -> None:
    with pytest.raises(UserError, match="counts words, which has none: leave it out"):
        evaluate_file(given / "counted-words", given / "texts.csv", precision="bfloat16")


def test_a_baseline_that_does_better_is_saved_without_being_asked_for(given: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "texts.csv", labelled_rows(30))
    settings = settings_for(data, given / "checkpoint", epochs=1, learning_rate=1e-9)  # learns nothing
    record = run(settings, tmp_path / "out")
    assert record.results["saved"]["name"] == "counted words"
    assert record.results["verdict"].startswith("Fine-tuning did NOT pay: the baseline counted words did better")
    assert record.results["fine_tuned"]["accuracy"] < record.results["test"]["accuracy"]
    page = (tmp_path / "out" / "summary.html").read_text()
    assert "fine-tuning BERT would be right" in page
    assert "counting words would be right" not in page
    assert page.count("saved") == 1  # in the sentence that says why


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["frozen-features", "counted-words"])
def test_a_kill_while_the_model_is_written_ends_in_the_same_model(given: Path, tmp_path: Path, keep: str) -> None:
    wanted = {**small_run(given, tmp_path / "run", keep=keep), "epochs": 1}
    peace = befallen(0, print, tmp_path / "run", train_classifier, **wanted)
    assert peace is not None
    expected = {path.name: path.read_bytes() for path in (tmp_path / "run" / "model").iterdir()}
    shutil.rmtree(tmp_path / "run")
    moment = next(
        n for n, change in enumerate(peace.changes, 1) if change.startswith("os.rename") and "model" in change
    )
    assert killed_before(moment, tmp_path / "run", train_classifier, **wanted)
    assert not (tmp_path / "run" / "model").exists()
    train_classifier(**wanted)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run" / "model").iterdir()} == expected
    assert not [path for path in (tmp_path / "run").iterdir() if "draft" in path.name]


def test_a_model_that_another_choice_has_saved_is_not_taken_for_this_one(
    records: dict[str, TaskRecord], given: Path, tmp_path: Path
) -> None:
    settings = settings_for(given / "texts.csv", given / "checkpoint", epochs=1, keep="counted-words")
    shutil.copytree(given / "counted-words", tmp_path / "out")
    (tmp_path / "out" / "results.json").unlink()
    shutil.rmtree(tmp_path / "out" / "model")
    shutil.copytree(given / "frozen-features" / "model", tmp_path / "out" / "model")
    with pytest.raises(RunError, match="model holds frozen features, but here counted words is chosen: move it away"):
        run(settings, tmp_path / "out")


def test_a_baseline_that_ends_the_process_leaves_a_model_that_predicts(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_csv(tmp_path / "texts.csv", labelled_rows(30))
    settings = settings_for(data, given / "checkpoint", epochs=1, learning_rate=1e-9)  # counted words do better

    def killed(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("bertft_helpers.own_texts.baselines.counted_words", killed)
        with pytest.raises(RunError, match="or a baseline, does not fit into memory"):
            run(settings, tmp_path / "out")
    assert kind_of(tmp_path / "out" / "model") == "fine-tuned"
    assert len(open_trained(tmp_path / "out", "cpu").classifier.predict(["an owl"])) == 1
    record = run(settings, tmp_path / "out")
    assert record.results["saved"]["name"] == kind_of(tmp_path / "out" / "model") == "counted words"
    assert not [path for path in (tmp_path / "out").iterdir() if "draft" in path.name]


def test_an_encoder_that_cannot_be_saved_frozen_is_refused_before_a_folder_is_taken(
    given: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), hidden_act="silu", max_position_embeddings=64, **sizes)
    BertModel(config).save_pretrained(tmp_path / "silu")
    tokenizer.save_pretrained(tmp_path / "silu")
    settings = settings_for(given / "texts.csv", tmp_path / "silu", keep="frozen-features")
    with pytest.raises(UserError, match=r"--keep frozen-features cannot be done .* activation is 'silu'"):
        run(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()
