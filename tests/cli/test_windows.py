"""Whole commands on a simulated Windows: the same model, the same answers, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import windows
from own_data import labelled_rows, tiny_checkpoint, write_csv

from bertft_helpers.own_texts.run import train_classifier
from bertft_helpers.own_texts.trained import label_file

BARE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "cp1252"}


def call(place: Path, *words: str) -> str:
    """What commands, with ``then`` between them, answer on a simulated Windows."""
    command = [sys.executable, "-X", "utf8=0", windows.__file__, *words]
    done = subprocess.run(command, cwd=place, env={**os.environ, **BARE}, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode("cp1252")
    return done.stdout.decode("cp1252")


def files_of(run: Path) -> dict[str, bytes]:
    """The files of a run, without those that hold what it has cost."""
    costs = ("results.json", "report.html", "summary.html")
    found = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in costs}


@pytest.mark.slow
def test_training_going_on_scoring_and_labelling_work_without_what_windows_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_checkpoint(tmp_path / "checkpoint")
    rows = [(text, {"birds": "Vögel", "fruit": "水果"}.get(label, label)) for text, label in labelled_rows(6)]
    write_csv(tmp_path / "texts.csv", rows)
    options = ("--text", "words", "--label", "kind", "--checkpoint", "checkpoint", "--epochs", "2", "--exact")
    train = ("train", "texts.csv", *options, "--out", "there")
    monkeypatch.chdir(tmp_path)
    columns = {"text_column": "words", "label_column": "kind"}
    train_classifier("texts.csv", "here", **columns, checkpoint="checkpoint", epochs=2, exact=True)
    call(tmp_path, *train)
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")
    evaluate, predict = ("evaluate", "there", "texts.csv"), ("predict", "there", "texts.csv", "--out", "there.csv")
    asked = call(tmp_path, *train, "then", *evaluate, "then", *predict)  # trained, and asked again
    assert asked.count("accuracy") >= 2
    label_file("here", "texts.csv", "here.csv")
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("checkpoint", "texts.csv", "here", "there", "here.csv", "there.csv")
    }
