"""The map of the series is generated and current."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from bertft_helpers.series.costs import Cost, measured_costs
from bertft_helpers.series.overview import (
    PICTURE,
    costs_of_run,
    known_costs,
    map_text,
    minutes_to_read,
    picture_of,
)
from bertft_helpers.series.stamp import NOT_PUBLISHED, source_of, stamp_notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
STORED = measured_costs()  # what an installed lesson is told
REGENERATE = "`bertft map` regenerates it (the stored costs stay where there is no build/run.json)"


def lesson(folder: Path, name: str, title: str, tags: list[str]) -> None:
    cells = [
        nbformat.v4.new_markdown_cell(f"# {title}\n\nText."),
        nbformat.v4.new_code_cell("x = 1", metadata={"tags": tags}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


def test_a_row_holds_question_graduates_and_cost(tmp_path: Path) -> None:
    lesson(tmp_path, "19_write_loop", "Q19 · How do I write the loop?", ["graduates:training.fit", "other"])
    text = map_text(tmp_path, {"19": Cost(1.04, 2345.6)})
    assert "| [19](19_write_loop.ipynb) | How do I write the loop? | `training.fit` | 0 | 1.0 | 2,346 |" in text
    assert "All 1 lessons together: 0 hours to read, 1.0 minutes to run." in text


def test_reading_takes_a_minute_for_200_words_and_20_seconds_for_a_cell_of_code() -> None:
    text = nbformat.v4.new_markdown_cell("word " * 1000)
    code = [nbformat.v4.new_code_cell("x = 1  # not read as text") for _ in range(6)]
    assert minutes_to_read(nbformat.v4.new_notebook(cells=[text, *code])) == 5 + 2


def test_a_stamp_does_not_change_the_minutes() -> None:
    text = nbformat.v4.new_markdown_cell(f"# Q5\n\n{NOT_PUBLISHED} {'word ' * 27}")  # 33 words, three more would count
    lesson = nbformat.v4.new_notebook(cells=[text, nbformat.v4.new_code_cell("pass", metadata={"tags": ["setup"]})])
    assert minutes_to_read(lesson) == 0
    assert stamp_notebook(lesson, "05_show_texts.ipynb", source_of("ada/lessons@v1.2"))
    assert minutes_to_read(lesson) == 0


def test_a_lesson_without_a_measurement_is_named(tmp_path: Path) -> None:
    lesson(tmp_path, "19_write_loop", "Q19 · How do I write the loop?", [])
    with pytest.raises(ValueError, match="no measured minutes for 19"):
        map_text(tmp_path, {})


@pytest.mark.parametrize(("profile", "jobs", "status"), [("smoke", 1, "ok"), ("cpu", 2, "ok"), ("cpu", 1, "failed")])
def test_a_partial_or_crowded_run_is_no_source_of_costs(tmp_path: Path, profile: str, jobs: int, status: str) -> None:
    run = {
        "profile": profile,
        "jobs": jobs,
        "lessons": [{"lesson": "19_x", "status": status, "seconds": 1, "peak_mb": 1}],
    }
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(ValueError, match="complete run at the lessons' own values"):
        costs_of_run(tmp_path / "run.json")


def test_without_a_run_the_costs_are_the_stored_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert known_costs() == STORED
    ok = {"lesson": "19_x", "status": "ok", "seconds": 90, "peak_mb": 700}
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "run.json").write_text(json.dumps({"profile": "cpu", "jobs": 1, "lessons": [ok]}))
    assert known_costs() == {"19": Cost(1.5, 700)}  # what was measured last wins


def test_a_named_run_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"elsewhere\.json is not there"):
        known_costs(tmp_path / "elsewhere.json")


def test_the_stored_map_is_current() -> None:
    stored = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    assert map_text(NOTEBOOKS, STORED) == stored, f"the lessons changed: {REGENERATE}"


def test_the_readmes_picture_is_the_stored_figure_of_lesson_00() -> None:
    assert (NOTEBOOKS / PICTURE).read_bytes() == picture_of(NOTEBOOKS), f"lesson 00 changed: {REGENERATE}"
    assert f"](notebooks/{PICTURE})" in (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
