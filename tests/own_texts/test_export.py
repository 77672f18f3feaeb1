"""A classifier as an ONNX file: its answers are the original's, or nothing is written; others can run it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from own_data import WORDS, finished_run, labelled_rows, write_csv
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.errors import DamagedFileError, MissingError, RunError, UserError
from bertft_helpers.inference import TextClassifier
from bertft_helpers.own_texts import export as exporting
from bertft_helpers.own_texts import export_texts
from bertft_helpers.own_texts.abstaining import ANSWERS
from bertft_helpers.own_texts.export import Exported, export
from bertft_helpers.own_texts.onnx_model import write_onnx
from bertft_helpers.own_texts.trained import evaluate_file, label_file, open_trained

pytestmark = pytest.mark.slow  # torch's exporter takes three seconds, however small the model
TEXTS = ["apple and plum", "a saw &amp; a drill", "heron", "finch " * 200, "naïve £5 🙂 unknown", "."]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``texts.csv`` and a finished ``run``."""
    return finished_run(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def exported(given: Path) -> Exported:
    return export(given / "run", given / "exported")


@pytest.fixture
def written_before(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the file of ``exported`` instead of writing it once more."""
    monkeypatch.setattr(exporting, "write_onnx", lambda model, path: shutil.copy(exported.folder / "model.onnx", path))


def probabilities(folder: Path) -> np.ndarray:
    return np.array([list(one.probabilities.values()) for one in open_trained(folder, "cpu").classifier.predict(TEXTS)])


def test_the_file_answers_as_the_original_whatever_the_length_of_a_text(given: Path, exported: Exported) -> None:
    assert exported.difference < 1e-5
    assert exported.changed == 0
    assert exported.texts == 3  # the run's test part
    assert exported.score == "accuracy"
    assert exported.scores is not None
    np.testing.assert_allclose(probabilities(exported.folder), probabilities(given / "run"), atol=1e-5)


def test_the_lines_of_the_card_run_without_torch_and_answer_alike(exported: Exported, tmp_path: Path) -> None:
    card = (exported.folder / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    program = lines.replace("<this folder>", str(exported.folder)).replace('["a text"]', repr(TEXTS[:3]))
    program += "\nimport sys\nassert not {'torch', 'transformers'} & {*sys.modules}\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.replace("'", '"'))
    assert [list(answer) for answer in answers] == [sorted(WORDS)] * 3
    found = np.array([list(answer.values()) for answer in answers])
    np.testing.assert_allclose(found, probabilities(exported.folder)[:3], atol=1e-5)


def test_eight_bits_need_a_quarter_and_change_answers_a_little(
    given: Path, exported: Exported, written_before: None, tmp_path: Path
) -> None:
    small = export(given / "run", tmp_path / "small", int8=True, data=given / "texts.csv", most_lost=1)
    assert small.megabytes < exported.megabytes / 2.9  # a real one: a quarter
    assert 0 < np.abs(probabilities(small.folder) - probabilities(given / "run")).max() < 0.05
    assert small.texts == 18  # all of texts.csv


def test_a_precision_can_be_wished_for_where_the_probabilities_are_the_original_s(
    given: Path, exported: Exported, written_before: None, tmp_path: Path
) -> None:
    kept = (given / "run" / "model" / ANSWERS).read_bytes()
    assert (exported.folder / ANSWERS).read_bytes() == kept
    small = export(given / "run", tmp_path / "small", int8=True, data=given / "texts.csv", most_lost=1)
    with pytest.raises(UserError, match="ask the folder that it was exported from"):
        open_trained(small.folder, "cpu", explain=True)
    with pytest.raises(MissingError, match="no precision can be wished for"):
        open_trained(small.folder, "cpu", min_precision=0.5)


def test_exported_folders_know_their_columns_and_are_evaluated_and_label_files(
    given: Path, exported: Exported, tmp_path: Path
) -> None:
    moved = shutil.copytree(exported.folder, tmp_path / "far" / "from the run")
    scores = [evaluate_file(folder, given / "texts.csv") for folder in (moved, given / "run")]
    assert scores[0] == scores[1]
    for name, folder in {"exported": moved, "run": given / "run"}.items():
        label_file(folder, given / "texts.csv", tmp_path / f"{name}.jsonl")
    rows = [
        [json.loads(line)["predicted_label"] for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        for name in ("exported", "run")
    ]
    assert rows[0] == rows[1]


def test_answers_that_are_others_are_counted_and_nothing_is_written(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = open_trained(given / "run", "cpu").classifier
    texts = [text for text, _ in labelled_rows(4)]
    answers = [prediction.label for prediction in classifier.predict(texts)]
    data = write_csv(tmp_path / "answers.csv", zip(texts, answers, strict=True))
    other = next(number for number, name in enumerate(classifier.label_names) if name not in answers)
    with torch.no_grad():
        classifier.model.classifier.bias[other] += 100  # it answers this class whatever is asked
    write_onnx(classifier.model, tmp_path / "wrong.onnx")

    monkeypatch.setattr(exporting, "write_onnx", lambda model, path: shutil.copy(tmp_path / "wrong.onnx", path))
    with pytest.raises(RunError, match=r"differs from the original by .* in a probability, more than 0\.0001: nothing"):
        export(given / "run", tmp_path / "out", data=data)
    with pytest.raises(RunError, match=r"accuracy on 12 texts falls from 1\.000 to 0\.000, by more than 0\.01"):
        export(given / "run", tmp_path / "out", int8=True, data=data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "wrong.onnx"]


def test_without_its_texts_a_run_is_compared_on_invented_ones_and_eight_bits_are_refused(
    given: Path, written_before: None, tmp_path: Path
) -> None:
    said: list[str] = []
    found = export(given / "run" / "model", tmp_path / "out", on_note=said.append)
    assert found.scores is None
    assert found.difference < 1e-5
    assert found.texts == 64
    assert "compared on invented texts" in said[0]
    with pytest.raises(UserError, match="no labelled texts to count them on: give --data"):
        export(given / "run" / "model", tmp_path / "small", int8=True, on_note=said.append)


def test_a_changed_file_is_not_taken_for_the_texts_of_the_run(given: Path, tmp_path: Path) -> None:
    shutil.copytree(given / "run", tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "run.json").read_text())
    saved["source"] = str(write_csv(tmp_path / "texts.csv", labelled_rows(5)))
    (tmp_path / "run" / "run.json").write_text(json.dumps(saved))
    said: list[str] = []
    assert export_texts.test_part(tmp_path / "run", said.append) is None
    assert "is not what the run was trained on" in said[0]


def test_what_cannot_be_exported_or_opened_is_told(given: Path, exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is an exported model already"):
        export(exported.folder, tmp_path / "again")
    with pytest.raises(UserError, match="exists and is not empty; choose another --out"):
        export(given / "run", exported.folder)
    with pytest.raises(MissingError):
        export(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UserError, match="which has its own number format"):
        open_trained(exported.folder, "cpu", "bfloat16")
    strange = write_csv(tmp_path / "strange.csv", [("a text", "cheese"), ("another", "fruit")])
    with pytest.raises(UserError, match="which the model does not know"):
        export(given / "run", tmp_path / "out", data=strange)
    damaged = shutil.copytree(exported.folder, tmp_path / "damaged")
    (damaged / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(DamagedFileError, match=r"model\.onnx"):
        open_trained(damaged, "cpu")


def test_the_command_says_what_was_compared(given: Path, written_before: None, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(given / "run"), "--onnx", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "compared on 3 texts: a probability differs by at most " in done.output
    again = CliRunner().invoke(app, ["export", str(given / "run"), "--out", str(tmp_path / "out"), "--json"])
    assert again.exit_code == 2


@pytest.mark.usefixtures("written_before")
def test_a_model_that_reads_whole_texts_reads_them_exported_too(given: Path, tmp_path: Path) -> None:
    classifier = TextClassifier.load(given / "run" / "model")
    cut = [list(one.probabilities.values()) for one in classifier.predict(TEXTS)]
    classifier.max_length, classifier.policy, classifier.stride = 16, "windows", 3
    classifier.save(tmp_path / "whole")
    export(tmp_path / "whole", tmp_path / "exported", on_note=lambda line: None)
    np.testing.assert_allclose(probabilities(tmp_path / "exported"), probabilities(tmp_path / "whole"), atol=1e-5)
    assert not np.allclose(probabilities(tmp_path / "exported")[3], cut[3], atol=1e-4)  # the text of 200 words
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "in windows of 16 tokens that share 3" in card
    assert "read in windows that share 3 tokens; the lines above keep the head" in card
