"""kill -9, a full disk, a folder that is closed or gone, before every change that a command makes: nothing is lost."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
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
KILLED_IN_TURNS = 8


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


@pytest.fixture(scope="module")
def undisturbed(given: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The changes that training makes when nothing happens to it: in its folder ``run`` and beside it."""
    place = tmp_path_factory.mktemp("peace")
    made = befallen(0, print, place, train, **small_run(given, place / "run"))
    assert made is not None
    assert not made.told
    return made.changes


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


def in_turns(number: int) -> pytest.MarkDecorator:
    """So many turns share the work: ``make test`` takes the first, ``make thorough`` the others."""
    turns = [0, *(pytest.param(turn, marks=pytest.mark.thorough) for turn in range(1, number))]
    return pytest.mark.parametrize("turn", turns)


@pytest.mark.slow
@in_turns(KILLED_IN_TURNS)
def test_a_kill_before_any_change_that_training_makes_ends_in_the_same_run(
    turn: int,
    given: Path,
    expected: dict[str, object],
    undisturbed: list[str],
    tmp_path: Path,
    report: Callable[[str, object], None],
) -> None:
    place = tmp_path / "killed"
    wanted = small_run(given, place / "run")
    for number in range(1 + turn, len(undisturbed) + 1, KILLED_IN_TURNS):
        place.mkdir()
        assert killed_before(number, place, train, **wanted)
        train(**wanted)
        assert content_of(place / "run") == expected, f"after a kill before change {number}"
        assert [path.name for path in place.iterdir()] == ["run"]
        shutil.rmtree(place)
    report(
        "changes on the disk that bertft train makes, killed (kill -9) before each: all end the same", len(undisturbed)
    )


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
    """The number of the first change of each file and folder in ``run``, counted from 1 there; all states are one."""
    numbered: dict[str, int] = {}
    for number, change in enumerate((change for change in changes if " run/" in change), 1):
        name = re.sub(r"state-\d+", "state", change.split(" ", 1)[1])
        numbered.setdefault(name, number)
    return numbered


class Accident(NamedTuple):
    """What happens to a run's folder, how it is undone, and what a command says of it (empty: any sentence)."""

    happens: Callable[[], object]
    undo: Callable[[], object]
    told: str


@pytest.fixture
def accidents(small_disk: SmallDisk, tmp_path: Path) -> list[tuple[Path, Accident]]:
    """A run's folder that is closed, one that is removed, one whose disk is full."""
    disk, closed, removed = small_disk(64 << 20), tmp_path / "closed" / "run", tmp_path / "removed" / "run"

    def free() -> None:
        assert not [path for path in disk.path.rglob("*") if path.name.endswith(".draft")]
        disk.free()

    return [
        (closed, Accident(partial(close, closed), partial(reopen, closed), "Permission denied: '")),
        (removed, Accident(partial(shutil.rmtree, removed, True), lambda: None, "")),
        (disk.path / "run", Accident(disk.fill, free, "No space left on device: '")),
    ]


@pytest.mark.slow
@in_turns(3)
def test_an_accident_before_any_file_is_told_in_a_sentence_and_the_next_call_goes_on(
    turn: int,
    given: Path,
    expected: dict[str, object],
    undisturbed: list[str],
    accidents: list[tuple[Path, Accident]],
    report: Callable[[str, object], None],
) -> None:
    """In three turns each accident happens before each file; in one turn each file meets one of them."""
    moments = first_of_each_file(undisturbed)
    in_turn = itertools.islice(itertools.cycle(accidents), turn, None)
    heard = []
    for (name, number), (out, accident) in zip(moments.items(), in_turn, strict=False):
        made = befallen(number, accident.happens, out, train, **small_run(given, out))
        assert made is not None
        assert not made.told or accident.told in made.told, (name, made.told)
        assert "defect" not in made.told, (name, made.told)
        accident.undo()
        train(**small_run(given, out))
        assert content_of(out) == expected, name
        shutil.rmtree(out)
        heard += [accident.told] if made.told else []
    assert set(heard) == {accident.told for _, accident in accidents}, "an accident that nobody noticed"
    report("files that bertft train writes, before each of which its folder was closed, removed or full", len(moments))
