"""kill -9 before every change that labelling makes on the disk: the next call ends as if nothing was."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kills import killed_before
from own_data import labelled_rows, tiny_checkpoint, write_csv

from bertft_helpers.own_texts.run import train_classifier
from bertft_helpers.own_texts.trained import label_file


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts and a checkpoint."""
    folder = tmp_path_factory.mktemp("given")
    tiny_checkpoint(folder / "checkpoint")
    write_csv(folder / "texts.csv", labelled_rows(6))
    return folder


def training(given: Path, out: Path) -> dict[str, Any]:
    """What a run of two epochs is asked for, each of two steps."""
    columns = {"text_column": "words", "label_column": "kind"}
    settings = {
        "checkpoint": str(given / "checkpoint"),
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "exact": True,
    }
    return {"source": given / "texts.csv", "out": out, **columns, **settings, "device": "cpu"}


def labelling(given: Path, run: Path, out: Path) -> dict[str, Any]:
    """What a labelling of the texts is asked for."""
    return {"folder": run, "source": given / "texts.csv", "out": out, "device": "cpu"}


@pytest.mark.slow
def test_a_kill_before_any_change_that_labelling_makes_loses_nothing_and_leaves_nothing(
    given: Path, tmp_path: Path, report: Callable[[str, object], None]
) -> None:
    train_classifier(**training(given, tmp_path / "run"))
    label_file(**labelling(given, tmp_path / "run", tmp_path / "undisturbed.csv"))
    place = tmp_path / "killed"
    wanted = labelling(given, tmp_path / "run", place / "labels.csv")
    for number in itertools.count(1):
        place.mkdir()
        if not killed_before(number, place, label_file, **wanted):
            break
        assert not (place / "labels.csv").exists()
        label_file(**wanted)
        assert [path.name for path in place.iterdir()] == ["labels.csv"], f"after a kill before change {number}"
        assert (place / "labels.csv").read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()
        shutil.rmtree(place)
    report("changes on the disk that bertft predict makes, killed (kill -9) before each: all end the same", number - 1)
