"""Lesson 30 on files of a reader's own: two classes, fifty classes, texts that bite, and a column that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from conftest import Silent
from lessons_forked import run_cells

from bertft_helpers.data import clean, load_texts, select_view
from bertft_helpers.inference import TextClassifier
from bertft_helpers.series.catalogue import Lesson
from bertft_helpers.series.execute.runner import Outcome, run_lessons
from bertft_helpers.series.notebook import read_notebook

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSON = Lesson(NOTEBOOKS / "30_analyze_a_full_task.ipynb")
PATIENCE = 600  # seconds a cell may take on a busy machine
HOSTILE = "<script>alert('x')</script> & <img src=x onerror=alert(1)> costs $5 and $6"


@pytest.fixture(scope="module")
def headlines() -> pd.DataFrame:
    kept = clean(select_view(load_texts("news"), "headline")).kept
    names = kept.features["label"].names
    return pd.DataFrame({"story": list(kept["text"]), "desk": [names[label] for label in kept["label"]]})


def run_on(table: pd.DataFrame, tmp_path: Path, **parameters: Any) -> tuple[Outcome, nbformat.NotebookNode]:
    """The lesson, small, on a table that was written as CSV; how it went, and the executed notebook."""
    path = tmp_path / "mine.csv"
    table.to_csv(path, index=False)
    own = {"DATA": str(path), "TEXT_COLUMN": "story", "LABEL_COLUMN": "kind", **parameters}
    planned = {"SMOKE": True, "N_TRAIN": 64, "N_EVAL": 48, "EPOCHS": 1, **own}
    (outcome,) = run_lessons([LESSON], {LESSON.name: planned}, tmp_path / "out", Silent(), PATIENCE)
    return outcome, nbformat.read(tmp_path / "out" / f"{LESSON.name}.ipynb", as_version=4)


def printed(notebook: nbformat.NotebookNode, kind: str = "text") -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text", "") or output.get("data", {}).get(kind, "") for output in outputs)


def figures(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.mark.slow
@pytest.mark.exercises
def test_two_classes_of_ones_own_run_to_the_end(headlines: pd.DataFrame, tmp_path: Path) -> None:
    table = headlines.groupby("desk").head(40).copy()
    table["kind"] = ["sport" if desk == "sports" else "$not$ sport" for desk in table["desk"]]
    table.loc[table["kind"] == "sport", "story"] = HOSTILE + " " + table["story"]
    kept = tmp_path / "kept"
    outcome, notebook = run_on(table, tmp_path, KEEP=str(kept))
    assert outcome.ok, f"cell {outcome.cell}: {outcome.source}: {outcome.error}"
    text = printed(notebook)
    assert "mine.csv" in text
    assert "2, from sport (40) to $not$ sport (160)" in text
    assert "test accuracy of the fine-tuned model" not in text  # a claim about the news
    assert figures(notebook) >= 7
    page = printed(notebook, "text/html")
    assert "<script>alert" not in page
    assert "<img" not in page
    left_out = "56 of the 200 texts were left out"  # 120, 40 and 40 texts, of which 64, 40 and 40 are taken
    assert left_out in page
    assert left_out in (kept / "summary.html").read_text(encoding="utf-8")
    assert sorted(TextClassifier.load(kept / "classifier").label_names) == ["$not$ sport", "sport"]


@pytest.mark.slow
@pytest.mark.exercises
def test_fifty_classes_some_of_them_absent_from_a_part_run_to_the_end(headlines: pd.DataFrame, tmp_path: Path) -> None:
    table = headlines.groupby("desk").head(80).copy()
    table["kind"] = table["desk"] + " of section " + (table.groupby("desk").cumcount() % 10).astype(str)
    table.loc[len(headlines) + 1] = {"story": "A class of one", "desk": "", "kind": "lonely"}
    outcome, notebook = run_on(table, tmp_path)  # 48 test texts of 50 classes: at least two are absent
    assert outcome.ok, f"cell {outcome.cell}: {outcome.source}: {outcome.error}"
    text = printed(notebook)
    assert "1 with fewer than 5 texts: lonely" in text
    assert "(12 of 48 classes with test texts)" in text
    assert figures(notebook) >= 7


@pytest.mark.slow
@pytest.mark.exercises
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"TEXT_COLUMN": "text"}, "mine.csv has no column 'text'; it has story, desk, kind, key"),
        ({"LABEL_COLUMN": "key"}, "only 0 classes have 5 different texts: is that the right column of labels?"),
    ],
    ids=["no such column", "a column in which every row is different"],
)
def test_a_wrong_column_is_named_in_the_error(
    headlines: pd.DataFrame, tmp_path: Path, parameters: dict[str, str], message: str
) -> None:
    path = tmp_path / "mine.csv"
    headlines.head(60).assign(kind=["one", "other"] * 30, key=range(60)).to_csv(path, index=False)
    own = {"SMOKE": True, "DATA": str(path), "TEXT_COLUMN": "story", "LABEL_COLUMN": "kind", **parameters}
    with pytest.raises(AssertionError) as failure:  # no kernel is needed to see it
        run_cells(read_notebook(LESSON.path), NOTEBOOKS, own)
    assert message in str(failure.value)
