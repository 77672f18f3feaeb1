"""kill -9, a full disk, a folder that is closed or gone, before every change that a command makes: nothing is lost."""

from __future__ import annotations

import functools
import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from accidents import befallen, killed_before
from disks import Disk
from own_data import finished_run, small_run

from bertft_helpers.own_texts import costs
from bertft_helpers.own_texts import report as report_of_a_run
from bertft_helpers.own_texts.run import train_classifier
from bertft_helpers.own_texts.trained import label_file

COSTS = {"training_seconds", "training_processor_seconds", "processor_seconds", "peak_memory_mb", "calls"} | {
    "texts_per_second"
}
SmallDisk = Callable[[int], Disk]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, a checkpoint and a finished run in ``run``."""
    return finished_run(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def expected(given: Path) -> dict[str, object]:
    """What a finished run holds."""
    return content_of(given / "run")


def labelling(given: Path, out: Path) -> dict[str, Any]:
    """What a labelling of the texts is asked for."""
    return {"folder": given / "run", "source": given / "texts.csv", "out": out, "device": "cpu"}


def train(**wanted: Any) -> None:
    """``train_classifier`` with costs written after every step, whatever the machine's pace, and empty pictures.

    To draw the pictures takes most of so small a run, and touches no disk.
    """
    with (
        mock.patch.object(costs, "WRITTEN_EVERY", 0),
        mock.patch.object(report_of_a_run, "picture", lambda figure, alt: report_of_a_run.Picture("", alt)),
    ):
        train_classifier(**wanted)


def content_of(run: Path) -> dict[str, object]:
    """Every file of a run byte for byte, but for what the run has cost, which no two calls share."""
    files = {str(path.relative_to(run)): path for path in run.rglob("*") if path.is_file()}
    content: dict[str, object] = {name: path.read_bytes() for name, path in files.items()}
    if "results.json" in content:
        content["results.json"] = _without_costs(json.loads(files["results.json"].read_text()))
        content |= {name: name in content for name in ("report.html", "summary.html")}  # they tell costs and the hour
    return content


def _without_costs(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_costs(own) for name, own in value.items() if name not in COSTS}
    return [_without_costs(own) for own in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_a_kill_before_any_change_that_training_makes_ends_in_the_same_run(
    given: Path, expected: dict[str, object], tmp_path: Path, report: Callable[[str, object], None]
) -> None:
    place = tmp_path / "killed"
    wanted = small_run(given, place / "run")
    for number in itertools.count(1):
        place.mkdir()
        if not killed_before(number, place, train, **wanted):
            break
        train(**wanted)
        assert content_of(place / "run") == expected, f"after a kill before change {number}"
        assert [path.name for path in place.iterdir()] == ["run"]
        shutil.rmtree(place)
    assert content_of(place / "run") == expected
    report("changes on the disk that bertft train makes, killed (kill -9) before each: all end the same", number - 1)


@pytest.mark.slow
def test_a_kill_before_any_change_that_labelling_makes_loses_nothing_and_leaves_nothing(
    given: Path, tmp_path: Path, report: Callable[[str, object], None]
) -> None:
    label_file(**labelling(given, tmp_path / "undisturbed.csv"))
    place = tmp_path / "killed"
    wanted = labelling(given, place / "labels.csv")
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


def close(run: Path) -> None:
    """Let nobody write into a folder, nor into those within."""
    for folder in [run, *(path for path in run.rglob("*") if path.is_dir())]:
        folder.chmod(0o555)


def reopen(run: Path) -> None:
    """Take ``close`` back."""
    for folder in [run, *(path for path in run.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)


def first_of_each_file(changes: list[str]) -> dict[str, int]:
    """The number of the first change, counted from 1, of each file and folder; all states are one."""
    numbered: dict[str, int] = {}
    for number, change in enumerate(changes, 1):
        name = re.sub(r"state-\d+", "state", change.split(" ", 1)[1])
        numbered.setdefault(name, number)
    return numbered


@pytest.fixture(scope="module")
def moments(given: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The files that training makes in its folder, with the number of the change by which each begins."""
    out = tmp_path_factory.mktemp("peace") / "run"
    made = befallen(0, print, out, train, **small_run(given, out))
    assert made is not None
    assert not made.told
    return first_of_each_file(made.changes)


Tried = Callable[[Path, Callable[[], object], Callable[[], object]], list[str]]


@pytest.fixture
def tried(given: Path, expected: dict[str, object], moments: dict[str, int]) -> Tried:
    """Train with an accident before each file in turn, undo it, call again: what was told, and the run is whole."""

    def try_all(out: Path, accident: Callable[[], object], undo: Callable[[], object]) -> list[str]:
        told = []
        for name, number in moments.items():
            made = befallen(number, accident, out, train, **small_run(given, out))
            assert made is not None
            told.append(made.told)
            undo()
            train(**small_run(given, out))
            assert content_of(out) == expected, name
            shutil.rmtree(out)
        return told

    return try_all


@pytest.mark.slow
def test_a_disk_that_fills_before_any_file_is_named_and_room_is_all_that_the_next_call_needs(
    tried: Tried, small_disk: SmallDisk, report: Callable[[str, object], None]
) -> None:
    disk = small_disk(64 << 20)

    def free() -> None:
        assert not [path for path in disk.path.rglob("*") if path.name.endswith(".draft")]
        disk.free()

    told = tried(disk.path / "run", disk.fill, free)
    assert [line for line in told if line and "No space left on device: '" not in line] == []
    assert any(told)
    report("files that bertft train writes, before each of which the disk filled: said, and gone on", len(told))


@pytest.mark.slow
def test_a_folder_closed_before_any_file_is_named_and_the_next_call_goes_on(
    tried: Tried, tmp_path: Path, report: Callable[[str, object], None]
) -> None:
    out = tmp_path / "run"
    told = tried(out, functools.partial(close, out), functools.partial(reopen, out))
    assert [line for line in told if line and "Permission denied: '" not in line] == []
    assert any(told)
    report("files that bertft train writes, before each of which its folder was closed", len(told))


@pytest.mark.slow
def test_a_folder_removed_before_any_file_is_told_in_a_sentence_and_the_next_call_begins_anew(
    tried: Tried, tmp_path: Path, report: Callable[[str, object], None]
) -> None:
    out = tmp_path / "run"
    told = tried(out, functools.partial(shutil.rmtree, out, True), lambda: None)
    assert [line for line in told if "defect" in line] == []
    assert any(told)
    report("files that bertft train writes, before each of which its folder was removed", len(told))
