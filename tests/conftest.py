"""Lessons for the tests: small, quick, and complete to the anatomy, so that each test can damage one thing."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest

from bertft_helpers.series.notebook import fold
from bertft_helpers.series.stamp import UNSTAMPED, setup_source

if "BERTFT_TESTS" not in os.environ:  # else this is a process that a test has started
    os.environ["BERTFT_TESTS"] = os.environ["BERTFT_CACHE"] = tempfile.mkdtemp(prefix="bertft-tests-")
    atexit.register(shutil.rmtree, os.environ["BERTFT_TESTS"], ignore_errors=True)  # trials of speed are the tests' own
pytest_plugins = ["disks", "figures"]

IN_SHORT = 'words = "one two three".split()\nprint(len(words), "words in short")'
FIGURE = """
from base64 import b64decode
from IPython.display import publish_display_data
pixel = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
publish_display_data({"image/png": pixel, "text/plain": "Figure"}, metadata={"image/png": {"alt": "one blue pixel"}})
"""
SOLUTION = "### BEGIN SOLUTION\nanswer_{0} = {0}\n### END SOLUTION"


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What executes lessons A1 to A6 belongs to ``make applications``, which CI calls after ``make test``."""
    for item in items:
        lesson = getattr(item, "callspec", None) and item.callspec.params.get("lesson")
        if getattr(lesson, "number", "").startswith("A") and item.get_closest_marker("slow"):
            item.add_marker("applications")


def text(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def code(source: str, *tags: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source.strip(), metadata={"tags": list(tags)} if tags else {})


def folded(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    fold(cell)
    return cell


def write_lesson(path: Path, cells: Sequence[nbformat.NotebookNode]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02}"
    nbformat.write(notebook, path)
    return path


def complete_lesson() -> list[nbformat.NotebookNode]:
    """A lesson that passes every gate once its outputs are stored."""
    return [
        text(
            "# Q6 · How many words are there?\n\n**Answer.** Three.\n\n"
            "**Time** about 10 minutes to read; the cells run for a second."
        ),
        folded(code(setup_source("06_count_words.ipynb", UNSTAMPED), "setup")),
        text("## In short"),
        code(IN_SHORT, "in-short"),
        code("from bertft_helpers.lessons import check"),
        code("SMOKE = False  # skips what a small run cannot show\nN_WORDS = 12  # how many words", "parameters"),
        text("## Counting"),
        code("words = [f'word{n}' for n in range(N_WORDS)]\nprint(len(words), 'words')"),
        code("share = 5 / 6\nprint(f'share {share:.3f} of {N_WORDS}')", "nbval-atol=0.03"),
        code("words[:2]"),
        code(FIGURE),
        text("## Check"),
        code("check('all words are there', len(words), equals=N_WORDS, skip=SMOKE)"),
        code("check('most are shared', share, low=0.8)\ncheck('not all are shared', share, high=0.9)"),
        text("## What goes wrong\n\nNothing.\n\n## Choices\n\nFew.\n\n## Exercises"),
        folded(code(SOLUTION.format(1), "solution")),
        folded(code(SOLUTION.format(2), "solution")),
        text("## Takeaways\n\nWords can be counted."),
        code("print('the end')"),
        *(text(f"Remark {number}.") for number in range(1, 8)),
    ]


class Silent:
    """An observer of a run that only remembers."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, object]] = []

    def started(self, lesson: str) -> None:
        self.reports.append(("started", lesson))

    def reached(self, lesson: str, cell: str) -> None:
        self.reports.append(("reached", cell))

    def finished(self, outcome: object) -> None:
        self.reports.append(("finished", outcome))


def store_outputs(path: Path, scratch: Path) -> None:
    """Execute a notebook in a real kernel and store its outputs, as bertft store does."""
    from bertft_helpers.series.catalogue import Lesson
    from bertft_helpers.series.execute.runner import run_lessons
    from bertft_helpers.series.execute.storing import with_outputs
    from bertft_helpers.series.notebook import read_notebook, write_notebook

    (outcome,) = run_lessons([Lesson(path)], {}, scratch, Silent())
    assert outcome.ok, outcome
    write_notebook(with_outputs(read_notebook(path), read_notebook(scratch / path.name)), path)


@pytest.fixture(scope="session")
def _stored_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    path = write_lesson(folder / "06_count_words.ipynb", complete_lesson())
    store_outputs(path, folder / "scratch")
    return path


@pytest.fixture
def stored_lesson(_stored_once: Path, tmp_path: Path) -> Path:
    """A fresh copy of a complete lesson whose outputs came from a real kernel."""
    target = tmp_path / "notebooks" / _stored_once.name
    target.parent.mkdir()
    shutil.copy(_stored_once, target)
    return target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of small lessons: one good, one that fails, with a profile."""
    notebooks = tmp_path / "notebooks"
    parameters = code("SMOKE = False\nRATE = 1e-3", "parameters")
    write_lesson(notebooks / "01_print_rate.ipynb", [text("# Q1 · ?"), parameters, code("print(RATE, SMOKE)")])
    write_lesson(
        notebooks / "02_divide_badly.ipynb",
        [text("# Q2 · ?"), code("SMOKE = False", "parameters"), code("# on purpose\n1 / 0"), code("print('never')")],
    )
    (notebooks / "profiles").mkdir()
    (notebooks / "profiles" / "smoke.yaml").write_text("all:\n  SMOKE: true\n'01':\n  RATE: 1e-4\n")
    return notebooks
