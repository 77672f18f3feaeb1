"""Lessons beyond the thirty lie in a folder of their own: found, named, linked, stamped and mapped like the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import code, folded, text, write_lesson

from bertft_helpers.series.catalogue import find_lessons, place_of, select_lessons
from bertft_helpers.series.costs import Cost, measured_costs
from bertft_helpers.series.gates.anatomy import wrong_title
from bertft_helpers.series.gates.check import check_folder
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.overview import map_text
from bertft_helpers.series.site.landing import page_name, short_title
from bertft_helpers.series.stamp import UNSTAMPED, setup_source, stamp_lessons
from bertft_helpers.series.teach.editions import write_editions

ROOT = Path(__file__).parents[2]
MOST_MB = 2500  # of a free notebook's memory, for an application
MOST_LINES = 120
GITHUB = "git+https://github.com/ada/lessons@v1.2"
LAST, TAGS, ANSWERS = "30_analyze_a_full_task.ipynb", "A2_tag_words.ipynb", "A3_answer_questions.ipynb"


def lesson(folder: Path, name: str, links: str, place: str = "") -> Path:
    setup = folded(code(setup_source(name, UNSTAMPED), "setup"))
    title = text(f"# {name[:2]} · How?\n\nColab: not published yet · {links}")
    return write_lesson(folder / (place or place_of(name)), [title, setup, code("x = 1")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The last of the thirty and two applications, linked as they must be."""
    previous = "[29](29_stop_early.ipynb) · [tags](applications/A2_tag_words.ipynb)"
    lesson(tmp_path, LAST, previous)
    lesson(tmp_path, TAGS, f"Next: [A3]({ANSWERS}) · [30](../{LAST}) · [Glossary](../GLOSSARY.md)")
    lesson(tmp_path, ANSWERS, f"Previous: [A2]({TAGS})")
    (tmp_path / "GLOSSARY.md").write_text("# Glossary\n")
    return tmp_path


def test_applications_come_after_the_thirty_and_are_called_by_number_name_or_file(folder: Path) -> None:
    assert [found.number for found in find_lessons(folder)] == ["30", "A2", "A3"]
    for name in ("A2", "a2", "A2_tag_words", TAGS, f"applications/{TAGS}", f"{folder.name}/applications/{TAGS}"):
        assert [found.path for found in select_lessons(folder, [name])] == [folder / "applications" / TAGS]


def test_links_between_the_folders_are_followed_both_ways(folder: Path) -> None:
    assert check_folder(folder) == []
    lesson(folder, TAGS, f"Next: [A3]({ANSWERS}) · [30]({LAST})")  # as if it lay beside the thirty
    assert [str(problem) for problem in check_folder(folder)] == [
        f"applications/{TAGS} cell 1: links to applications/{LAST}, which is no lesson of the series"
    ]


def test_neighbours_among_the_applications_must_be_linked_but_none_to_the_thirty(folder: Path) -> None:
    lesson(folder, TAGS, "Next: nothing")
    assert [str(problem) for problem in check_folder(folder)] == [
        f"applications/{TAGS} cell 1: must link to the next lesson, applications/{ANSWERS}"
    ]


@pytest.mark.parametrize("place", ["A4_compare_texts.ipynb", "applications/20_clip_gradients.ipynb"])
def test_a_lesson_in_the_other_folder_is_no_lesson_and_is_named(folder: Path, place: str) -> None:
    lesson(folder, Path(place).name, "", place)
    assert len(find_lessons(folder)) == 3
    assert any(str(problem).startswith(f"{place}: is not named") for problem in check_folder(folder))


def test_a_stamp_leads_to_the_folder_of_the_applications_and_can_be_taken_back(folder: Path) -> None:
    before = (folder / "applications" / TAGS).read_bytes()
    stamp_lessons(folder, GITHUB)
    first = read_notebook(folder / "applications" / TAGS).cells[0].source
    colab = "https://colab.research.google.com/github/ada/lessons/blob/v1.2/notebooks"
    for page in (
        f"[Open in Colab]({colab}/applications/{TAGS})",
        f"({colab}/{LAST})",
        f"({colab}/applications/{ANSWERS})",
    ):
        assert page in first
    assert "(https://github.com/ada/lessons/blob/v1.2/notebooks/GLOSSARY.md)" in first
    assert check_folder(folder) == []
    stamp_lessons(folder, UNSTAMPED)
    assert (folder / "applications" / TAGS).read_bytes() == before


def test_the_map_has_a_part_for_them_also_when_the_first_is_missing(folder: Path) -> None:
    page = map_text(folder, dict.fromkeys(("30", "A2", "A3"), Cost(1, 900)))
    _, strategies, beyond = page.split("\n## ")
    assert strategies.startswith("Experimenting")
    assert beyond.startswith("Beyond the thirty")
    assert f"| [A2](applications/{TAGS}) | How? |" in beyond


def test_editions_keep_the_folders_so_that_links_still_lead_there(folder: Path, tmp_path: Path) -> None:
    write_editions(folder, tmp_path / "out", {"A2": "Minutes."})
    notebook = read_notebook(tmp_path / "out" / "instructors" / "applications" / TAGS)
    assert notebook.cells[1].source == "> Minutes."
    assert f"(../{LAST})" in notebook.cells[0].source
    assert (tmp_path / "out" / "instructors" / LAST).exists()


def test_their_titles_and_pages_carry_the_letter(folder: Path) -> None:
    (tags,) = select_lessons(folder, ["A2"])
    assert (short_title(tags), page_name(tags)) == ("A2 · Tag words", "applications/A2_tag_words")
    assert list(wrong_title(tags.name, read_notebook(tags.path))) == []
    assert list(wrong_title("A3_x", read_notebook(tags.path))) == [(1, "must be text that begins with '# A3 · '")]


def test_lesson_00_leads_to_every_application() -> None:
    first, *lessons = find_lessons(ROOT / "notebooks")
    page = "\n".join(cell.source for cell in read_notebook(first.path).cells if cell.cell_type == "markdown")
    applications = [lesson.place for lesson in lessons if lesson.number.startswith("A")]
    assert len(applications) == 6
    assert [place for place in applications if f"]({place})" not in page] == []


def test_no_application_was_measured_above_its_memory() -> None:
    measured = {number: cost.peak_mb for number, cost in measured_costs().items() if number.startswith("A")}
    assert len(measured) == 6
    assert max(measured.values()) <= MOST_MB


@pytest.mark.parametrize("module", ["masking", "tagging", "answering", "similarity", "summarizing"])
def test_the_module_of_an_application_is_read_in_one_go(module: str) -> None:
    source = (ROOT / "bertft_helpers" / f"{module}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MOST_LINES
