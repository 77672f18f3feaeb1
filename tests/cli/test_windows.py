"""Whole commands on a simulated Windows: the same model, the same answers, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import windows
from own_data import labelled_rows, tiny_checkpoint, write_csv

BARE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "cp1252"}


def call(place: Path, *words: str, simulated: bool = True) -> str:
    """What a command answers, on a simulated Windows or here."""
    script = ["-X", "utf8=0", windows.__file__] if simulated else ["-m", "bertft_helpers"]
    environment = {**os.environ, **(BARE if simulated else {})}
    done = subprocess.run(
        [sys.executable, *script, *words], cwd=place, env=environment, capture_output=True, timeout=600
    )
    encoding = "cp1252" if simulated else "utf-8"
    assert done.returncode == 0, done.stderr.decode(encoding)
    return done.stdout.decode(encoding)


def files_of(run: Path) -> dict[str, bytes]:
    """The files of a run, without those that hold what it has cost."""
    costs = ("results.json", "report.html", "summary.html")
    found = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in costs}


@pytest.mark.slow
def test_training_going_on_scoring_and_labelling_work_without_what_windows_lacks(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "checkpoint")
    rows = [(text, {"birds": "Vögel", "fruit": "水果"}.get(label, label)) for text, label in labelled_rows(6)]
    write_csv(tmp_path / "texts.csv", rows)
    how = ("--text", "words", "--label", "kind", "--checkpoint", "checkpoint", "--epochs", "2", "--exact")
    train = ("train", "texts.csv", *how, "--out")
    call(tmp_path, *train, "here", simulated=False)
    call(tmp_path, *train, "there")
    assert "accuracy" in call(tmp_path, *train, "there")  # finished, and asked again
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")
    assert "accuracy" in call(tmp_path, "evaluate", "there", "texts.csv")
    call(tmp_path, "predict", "there", "texts.csv", "--out", "there.csv")
    call(tmp_path, "predict", "here", "texts.csv", "--out", "here.csv", simulated=False)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("checkpoint", "texts.csv", "here", "there", "here.csv", "there.csv")
    }
