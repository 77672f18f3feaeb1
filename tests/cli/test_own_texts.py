"""``bertft train``, ``evaluate`` and ``predict`` as a person types them: answers, exit codes, plain words."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_data import labelled_rows, tiny_checkpoint, write_csv
from transformers import pipeline
from typer.testing import CliRunner, Result

from bertft_helpers.cli.main import app
from bertft_helpers.data import repair
from bertft_helpers.inference import Prediction
from bertft_helpers.own_texts.labelling import label_file

COLUMNS = ("--text", "words", "--label", "kind")


def bertft(*words: object, given: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=given, env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in ``out``, beside its texts and its checkpoint."""
    folder = tmp_path_factory.mktemp("finished")
    tiny_checkpoint(folder / "checkpoint")
    write_csv(folder / "texts.csv", labelled_rows())
    done = bertft("train", folder / "texts.csv", *COLUMNS, *training(folder))
    assert done.exit_code == 0, done.output
    assert "model in" in done.stdout
    return folder


def training(folder: Path) -> list[object]:
    return ["--out", folder / "out", "--checkpoint", folder / "checkpoint", "--epochs", 2, "--learning-rate", 0.01]


def test_the_folder_holds_a_model_for_transformers_a_report_and_the_results(finished: Path) -> None:
    out = finished / "out"
    assert {path.name for path in out.iterdir()} == {
        "history",
        "model",
        "report.html",
        "results.json",
        "run.json",
        "speed.json",
        "summary.html",
    }
    results = json.loads((out / "results.json").read_text())
    assert results["label_names"] == ["birds", "fruit", "tools"]
    classify = pipeline("text-classification", model=str(out / "model"))
    assert classify("apple and pear")[0]["label"] in results["label_names"]


def test_a_finished_run_answers_again_without_training(finished: Path) -> None:
    before = (finished / "out" / "results.json").read_bytes()
    done = bertft("train", finished / "texts.csv", *COLUMNS, *training(finished), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(before)
    assert "this run is finished" in done.stderr


def test_another_run_into_the_same_folder_exits_2_and_names_the_difference(finished: Path) -> None:
    done = bertft("train", finished / "texts.csv", *COLUMNS, *training(finished), "--seed", 5)
    assert done.exit_code == 2
    assert "different are seed (there 0, now 5)" in done.stderr


def test_evaluation_remembers_the_columns_and_can_be_told_others(finished: Path, tmp_path: Path) -> None:
    same = write_csv(tmp_path / "same.csv", [*labelled_rows(4), ("", "fruit")])
    other = write_csv(tmp_path / "other.csv", labelled_rows(4), columns=("t", "l"))
    first = bertft("evaluate", finished / "out", same, "--json")
    second = bertft("evaluate", finished / "out" / "model", other, "--text", "t", "--label", "l", "--json")
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    first, second = json.loads(first.stdout), json.loads(second.stdout)
    assert (first.pop("without_text"), second.pop("without_text")) == (1, 0)
    assert first == second
    assert first["texts"] == 12


def test_labels_that_the_model_does_not_know_exit_2(finished: Path, tmp_path: Path) -> None:
    done = bertft("evaluate", finished / "out", write_csv(tmp_path / "a.csv", [("x", "fish"), ("y", "fruit")]))
    assert done.exit_code == 2
    assert "the labels fish, which the model does not know; it knows birds, fruit, tools" in done.stderr


def test_prediction_copies_every_row_in_order_and_adds_two_columns(finished: Path, tmp_path: Path) -> None:
    rows = [('apple, and "pear"\nin two lines', "7"), ("", "8"), ("owl and wren", "=9")]
    source, out = write_csv(tmp_path / "in.csv", rows, ("words", "number")), tmp_path / "out.csv"
    done = bertft("predict", finished / "out", source, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"rows": 3, "without_text": 1, "out": str(out)}
    written = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"), newline="")))
    assert [(row["words"], row["number"]) for row in written] == rows
    assert [bool(row["predicted_label"]) for row in written] == [True, False, True]
    assert 1 / 3 <= float(written[0]["predicted_probability"]) <= 1


def test_16_bits_are_used_where_they_are_asked_for_and_said(finished: Path, tmp_path: Path) -> None:
    answers = {}
    for precision in ("float32", "bfloat16"):
        out = tmp_path / f"{precision}.csv"
        done = bertft("predict", finished / "out", finished / "texts.csv", "--out", out, "--precision", precision)
        assert done.exit_code == 0, done.output
        assert ("predicted in bfloat16: probabilities differ" in done.stderr) == (precision == "bfloat16")
        rows = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8")))
        answers[precision] = [float(row["predicted_probability"]) for row in rows]
    assert answers["bfloat16"] != answers["float32"]
    assert answers["bfloat16"] == pytest.approx(answers["float32"], abs=0.05)
    scored = bertft("evaluate", finished / "out", finished / "texts.csv", "--precision", "bfloat16")
    assert scored.exit_code == 0, scored.output
    assert "predicted in bfloat16" in scored.stderr
    wrong = bertft("predict", finished / "out", finished / "texts.csv", "--precision", "int8")
    assert wrong.exit_code == 2
    assert "precision is 'int8'; it must be one of float32, bfloat16, float16" in wrong.stderr


def test_lines_from_standard_input_come_back_as_json_lines(finished: Path) -> None:
    done = bertft("predict", finished / "out", "-", given="apple and fig\nsaw and drill\n")
    assert done.exit_code == 0, done.output
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["words"] for row in answers] == ["apple and fig", "saw and drill"]
    assert all(row["predicted_label"] in ("birds", "fruit", "tools") for row in answers)


def test_json_lines_and_another_encoding_are_read(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"words": "apple", "n": [1]}\n\n{"words": null, "n": 2}\n')
    (tmp_path / "in.tsv").write_bytes("words\tprice\nfig\t5 £\n".encode("cp1252"))
    for name in ("in.jsonl", "in.tsv"):
        done = bertft("predict", finished / "out", tmp_path / name, "--out", tmp_path / "answers.jsonl")
        assert done.exit_code == 0, done.output
        lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
        if name == "in.jsonl":
            assert [json.loads(line)["n"] for line in lines] == [[1], 2]
            assert json.loads(lines[1])["predicted_label"] is None
        else:
            assert json.loads(lines[0])["price"] == "5 £"


BAD_FILES = [
    ("a.csv", "text,n\nx,1\n", "a.csv has no column 'words'; it has text, n."),
    ("a.csv", "words,n\nx,1\ny,1,2\n", "another number of fields than its header's 2 in row 3"),
    ("a.csv", 'words,n\n"x,1\n', "a.csv cannot be read at row 2"),
    ("a.csv", "", "a.csv is empty"),
    ("a.jsonl", '{"words": "x"}\nnonsense\n', "a.jsonl has no JSON object in row 2"),
    ("a.jsonl", '{"words": 3}\n', "a.jsonl, row 1: 'words' must be text, it holds a int"),
    ("a.jsonl", '{"text": "x"}\n', "a.jsonl has no column 'words'; it has text"),
    ("a.xlsx", "PK", "a.xlsx is not an Excel file (.xlsx), or is damaged"),
    ("a.docx", "PK", "has the ending '.docx'; allowed are .csv, .tsv"),
]


@pytest.mark.parametrize(("name", "content", "says"), BAD_FILES)
def test_a_bad_file_exits_2_and_leaves_nothing(
    finished: Path, tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    done = bertft("predict", finished / "out", tmp_path / name, "--out", tmp_path / "answers.csv")
    assert done.exit_code == 2
    assert says in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


BAD_TRAINING = [
    ("missing.csv", None, "no data at", COLUMNS),
    ("a.csv", "text,n\nx,1\n", "a.csv has no column 'words', 'kind'; it has text, n.", COLUMNS),
    ("a.csv", "words,kind\nx,a\ny,a\n", "all texts are labelled 'a'; at least two classes are needed", COLUMNS),
    ("a.csv", "words,kind\nx,a\ny,b\nz,b\n", "too few different texts of 'a' (1), 'b' (2)", COLUMNS),
    ("a.csv", "words,kind\n,a\n,b\n", "too few different texts of 'a' (0), 'b' (0)", COLUMNS),
    ("a.csv", "words,kind\nx,a\ny,\n", "an empty label in row 3", COLUMNS),
    ("a.csv", "words,kind\nx,\x1b[31m\ny,b\n", "'<U+001B>[31m' (1)", COLUMNS),
]


@pytest.mark.parametrize(("name", "content", "says", "options"), BAD_TRAINING)
def test_texts_that_cannot_be_learned_from_exit_2(
    tmp_path: Path, name: str, content: str | None, says: str, options: tuple[str, ...]
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    done = bertft("train", tmp_path / name, *options, "--out", tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_policy_or_checkpoint_exits_2_and_lists_what_exists(finished: Path, tmp_path: Path) -> None:
    data = finished / "texts.csv"
    wrong = bertft("train", data, *COLUMNS, "--out", tmp_path / "out", "--long-texts", "middle")
    assert wrong.exit_code == 2
    assert "policy is 'middle'; it must be one of head, tail, head+tail, windows" in wrong.stderr
    wrong = bertft("train", data, *COLUMNS, "--out", tmp_path / "out", "--checkpoint", "no-such")
    assert wrong.exit_code == 2
    assert "no checkpoint 'no-such'" in wrong.stderr


def test_bad_settings_exit_2_before_a_folder_is_taken(finished: Path, tmp_path: Path) -> None:
    known = ("train", finished / "texts.csv", *COLUMNS, "--out", tmp_path / "out")
    wrong = bertft(*known, "--learning-rate", -1)
    assert wrong.exit_code == 2
    assert "learning_rate is -1.0; it must be above 0" in wrong.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "roberta"}')
    wrong = bertft(*known, "--checkpoint", tmp_path / "other")
    assert wrong.exit_code == 2
    assert "is of the type 'roberta'; only BERT models ('bert') can be used here" in wrong.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_folder_that_is_no_model_exits_2(finished: Path, tmp_path: Path, command: str) -> None:
    done = bertft(command, tmp_path, finished / "texts.csv")
    assert done.exit_code == 2
    assert "is no model folder: config.json missing" in done.stderr


def test_a_run_that_is_not_finished_says_how_to_finish_it(finished: Path, tmp_path: Path) -> None:
    shutil.copy(finished / "out" / "run.json", tmp_path / "run.json")
    done = bertft("evaluate", tmp_path, finished / "texts.csv")
    assert done.exit_code == 2
    assert "has no model: it is not finished; call bertft train with --out" in done.stderr


class Stub:
    """Answers at once, so that only reading and writing is measured."""

    prepare = staticmethod(repair)  # as the real one reads a text

    def predict(self, texts: list[str]) -> list[Prediction]:
        return [Prediction("a", 0.75, {"a": 0.75, "b": 0.25}) for _ in texts]


@pytest.fixture
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("name", ["large.csv", "large.jsonl"])
def test_a_file_ten_times_as_large_takes_no_more_memory(tmp_path: Path, name: str) -> None:
    peaks = []
    for rows in (2_000, 20_000):
        lines = ["words,n"] if name.endswith("csv") else []
        lines += [f"{'w' * 100},{n}" if lines else json.dumps({"words": "w" * 100, "n": n}) for n in range(rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        del lines
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        assert label_file(Stub(), str(tmp_path / name), tmp_path / f"out-{name}", "words").rows == rows
        peaks.append(tracemalloc.get_traced_memory()[1] - held)
    assert peaks[1] < 1.5 * peaks[0]


def test_a_mistyped_path_is_told_before_any_large_library_is_loaded(tmp_path: Path) -> None:
    program = """
import sys
from typer.testing import CliRunner
from bertft_helpers.cli.main import app
for call in ("train no.csv", "train no.csv --out run", "evaluate no no.csv", "predict no no.csv", "predict . no.csv",
             "audit no.csv", "export no --out onnx", "export . --out onnx --data no.csv", "serve no"):
    done = CliRunner().invoke(app, call.split())
    assert done.exit_code == 2, (call, done.output)
    assert "torch" not in sys.modules, call
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
