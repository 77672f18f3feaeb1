"""What a person sees in a real browser: a lesson in JupyterLab, and pages whose data try to act as pages."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from browser import ACTING_TEXTS, ODD_TEXTS, assert_no_script_ran, open_browser
from conftest import Silent, code, text, write_lesson

from bertft_helpers.series.catalogue import Lesson, plan_parameters, select_lessons
from bertft_helpers.series.execute.kernels import kernel_environment
from bertft_helpers.series.execute.outcomes import write_run
from bertft_helpers.series.execute.process_tree import end_process_tree
from bertft_helpers.series.execute.runner import run_lessons
from bertft_helpers.series.notebook import read_notebook, tags

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATIENCE = 600_000  # milliseconds; a lesson takes seconds, a busy machine multiplies them
WRONG, HINT = "number_of_steps = 3 * (79 // 6)", "you dropped the last short group of each epoch"
RIGHT = "import math\nnumber_of_steps = 3 * math.ceil(79 / 6)"
# Cells outside the window are not in the page by default, and a test looks at all of them.
ALL_CELLS = '{"windowingMode": "none"}'

pytestmark = pytest.mark.slow


def small_copy(folder: Path, number: str) -> Path:
    """A lesson at the smoke profile's parameters and without its stored outputs, so that all that is seen is new."""
    (lesson,) = select_lessons(NOTEBOOKS, [number])
    notebook = read_notebook(lesson.path)
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs, cell.execution_count = [], None
        if "parameters" in tags(cell):
            for name, value in plan_parameters(NOTEBOOKS, [lesson], "smoke")[lesson.name].items():
                cell.source = re.sub(rf"^{name} = [^#\n]*", f"{name} = {value!r}  ", cell.source, flags=re.MULTILINE)
    path = folder / lesson.path.name
    nbformat.write(notebook, path)
    return path


@contextlib.contextmanager
def jupyter_lab(folder: Path, home: Path) -> Iterator[str]:
    """The address of JupyterLab, started as ``make lab`` does, but on a free port and with a token of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = home / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(ALL_CELLS)
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--notebook-dir", str(folder), "--no-browser", f"--port={port}"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    own = {"JUPYTER_TOKEN": token, "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "HOME": str(home)}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"), "JUPYTER_CONFIG_DIR": str(home / "config")}
    with kernel_environment() as env, (home / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env={**env, **own}, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api", server, home / "lab.log")
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}"
        finally:
            end_process_tree(server)


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not answer: {log.read_text()}")


@pytest.fixture
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Lesson 19, opened in JupyterLab and run from top to bottom by the menu, as a learner would."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("lessons")
    path = small_copy(folder, "19")
    with open_browser() as browser, jupyter_lab(folder, home) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE)
        close_dialogs(page)
        page.goto(address.format(path.name))
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
        page.evaluate(WATCH_PROMPTS)
        run_all(page)
        page.screenshot(path=home / "running.png")
        wait_until_idle(page)
        page.screenshot(path=home / "ran.png")
        page.pictures = home
        yield page


# notes at every change of the page how many cells show [*]; a look at a fixed moment would come too early or too late
WATCH_PROMPTS = """() => {
    window.waitingCells = [];
    const note = () => {
        const prompts = [...document.querySelectorAll('.jp-InputPrompt')];
        const waiting = prompts.filter(prompt => prompt.textContent.includes('*')).length;
        if (waiting > 0 && waiting !== window.waitingCells.at(-1)) window.waitingCells.push(waiting);
    };
    new MutationObserver(note).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


def close_dialogs(page: Page) -> None:
    """Answer a question that JupyterLab asks in between, as a person would; on a busy machine it asks some more.

    It holds back every click until it is answered. What it asked stands in the report of a test that fails.
    """

    def answer_it(dialog: Locator) -> None:
        print(f"JupyterLab asked: {dialog.inner_text()}")
        dialog.locator(".jp-Dialog-footer button").last.click()

    page.add_locator_handler(page.locator(".jp-Dialog"), answer_it)


def choose(page: Page, menu: str, entry: str) -> None:
    page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{entry}$")).click()
    page.wait_for_timeout(500)


def run_all(page: Page) -> None:
    """By the menu, again if need be: a busy machine that still sets up the page loses the command without a word."""
    from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

    for _ in range(20):
        choose(page, "Run", "Run All Cells")
        with contextlib.suppress(PlaywrightTimeoutError):
            page.wait_for_function("() => window.waitingCells.length > 0", timeout=PATIENCE / 20)
            return
    pytest.fail("JupyterLab never began to run the cells")


def wait_until_idle(page: Page) -> None:
    page.wait_for_function(
        "() => ![...document.querySelectorAll('.jp-InputPrompt')].some(prompt => prompt.textContent.includes('*'))"
    )


def cell_with(page: Page, content: str) -> Locator:
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=content)).first


def unfold_first_answer(page: Page) -> None:
    _setup, cell, *_ = page.locator(".jp-CodeCell", has=page.locator(".jp-InputPlaceholder")).all()
    assert cell.locator(".cm-content").count() == 0, "the solution should not be seen before it is asked for"
    cell.evaluate("cell => { cell.dataset.answer = '1' }")
    cell.locator(".jp-InputPlaceholder").click()


def answer(page: Page, source: str) -> str:
    """Put an answer into the unfolded cell, run it and the check below it as a person does; what is said."""
    index = page.locator(".jp-Cell").evaluate_all("cells => cells.findIndex(cell => cell.dataset.answer)")
    cell, check = page.locator(".jp-Cell").nth(index), page.locator(".jp-Cell").nth(index + 1)
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    page.wait_for_timeout(500)
    wait_until_idle(page)
    check.scroll_into_view_if_needed()
    return check.locator(".jp-OutputArea-output").inner_text().strip()


def assert_a_run_shows_its_progress_cell_by_cell(lesson: Page) -> None:
    waiting = lesson.evaluate("() => window.waitingCells")
    assert len(set(waiting)) >= 3, "the number of cells that wait should fall step by step"
    assert max(waiting) > 10


def assert_every_cell_ran_without_an_error(lesson: Page) -> None:
    folded = lesson.locator(".jp-CodeCell", has=lesson.locator(".jp-InputPlaceholder")).count()  # show no number
    shown = lesson.locator(".jp-CodeCell:not(:has(.jp-InputPlaceholder)) .jp-InputPrompt").all_inner_texts()
    assert [prompt for prompt in shown if not re.fullmatch(r"\[\d+\]:", prompt.strip())] == []
    cells = read_notebook(select_lessons(NOTEBOOKS, ["19"])[0].path).cells
    assert folded == len([cell for cell in cells if {"setup", "solution"} & {*tags(cell)}])
    assert len(shown) + folded == len([cell for cell in cells if "outputs" in cell])
    assert lesson.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert lesson.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0


def assert_figures_are_drawn(lesson: Page) -> None:
    figures = lesson.locator(".jp-OutputArea-output img")
    assert figures.count() >= 1
    assert all(width > 200 for width in figures.evaluate_all("images => images.map(image => image.naturalWidth)"))


def assert_checks_are_ticked(lesson: Page) -> None:
    outputs = " ".join(lesson.locator(".jp-OutputArea-output").all_inner_texts())
    assert outputs.count("✓ ") >= 3
    assert "Exercise 1: correct" in outputs


def assert_a_wrong_answer_is_told_what_is_wrong_and_a_right_one_that_it_is_correct(lesson: Page) -> None:
    unfold_first_answer(lesson)
    assert answer(lesson, WRONG) == f"Exercise 1: not yet. {HINT}"
    lesson.screenshot(path=lesson.pictures / "wrong.png")
    assert answer(lesson, RIGHT) == "Exercise 1: correct"
    lesson.screenshot(path=lesson.pictures / "right.png")


@pytest.mark.exercises
def test_a_learner_runs_lesson_19_and_answers_an_exercise(lesson: Page) -> None:
    # one test, because several would be spread over workers that each start JupyterLab and run the lesson
    assert_a_run_shows_its_progress_cell_by_cell(lesson)
    assert_every_cell_ran_without_an_error(lesson)
    assert_figures_are_drawn(lesson)
    assert_checks_are_ticked(lesson)
    assert_a_wrong_answer_is_told_what_is_wrong_and_a_right_one_that_it_is_correct(lesson)


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of a run whose data are hostile: one lesson shows them in every way that lessons do, one fails on them."""
    folder = tmp_path_factory.mktemp("hostile")
    data = f"texts = {[*ACTING_TEXTS, *ODD_TEXTS]!r}"
    showing = [
        text("# Q5 · ?"),
        code(f"import pandas as pd\nfrom bertft_helpers.lessons import exercise, expect_error, show_table\n{data}"),
        code("show_table([[t, len(t)] for t in texts], ['text', 'length'])"),
        code("pd.DataFrame({'text': texts})"),
        code("print(*texts, sep='\\n')\nprint('long ' * 200_000)"),
        code("texts"),
        code("for t in texts:\n    with expect_error(ValueError):\n        raise ValueError(t)"),
        code("with exercise(texts[0]):\n    assert False, texts[1]"),
    ]
    failing = [text("# Q6 · ?"), code(f"{data}\nraise ValueError(' '.join(texts))")]
    lessons = [
        Lesson(write_lesson(folder / "05_show_texts.ipynb", showing)),
        Lesson(write_lesson(folder / "06_fail_on_texts.ipynb", failing)),
    ]
    outcomes = run_lessons(lessons, {}, folder / "build", Silent())
    assert [outcome.ok for outcome in outcomes] == [True, False]
    write_run(outcomes, {}, folder / "build", "cpu", 1)
    return folder / "build"


@pytest.mark.parametrize("name", ["index", "05_show_texts", "06_fail_on_texts"])
def test_texts_of_the_data_never_act_as_a_page(hostile_run: Path, name: str) -> None:
    with open_browser() as browser:
        page = assert_no_script_ran(browser, hostile_run / f"{name}.html", shows=("<script>window.__pwned",))
        page.screenshot(path=hostile_run / f"{name}.png")


def test_a_page_that_lets_a_text_act_is_noticed(tmp_path: Path) -> None:
    with open_browser() as browser:
        for number, hostile in enumerate(ACTING_TEXTS):
            page = tmp_path / f"{number}.html"
            page.write_text(f"<!doctype html><meta charset='utf-8'><table><tr><td>{hostile}</td></tr></table>")
            with pytest.raises(AssertionError):
                assert_no_script_ran(browser, page)
