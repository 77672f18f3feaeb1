"""What a visitor sees first: doors, applications, and questions that are links; nothing that the project lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import code, text, write_lesson

from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.site.landing import landing_page
from bertft_helpers.series.site.sources import Sources


@pytest.fixture
def lessons(tmp_path: Path) -> list[Lesson]:
    # 400 words and three cells of code: 2 minutes and 1
    write_lesson(
        tmp_path / "05_show_texts.ipynb",
        [text("# Q5 · Which texts?"), text("word " * 396), *(code("x") for _ in range(3))],
    )
    write_lesson(tmp_path / "applications" / "A2_tag_words.ipynb", [text("# A2 · Which tags?")])
    return find_lessons(tmp_path)


def test_each_question_is_a_link_with_its_minutes_under_its_part(lessons: list[Lesson]) -> None:
    page = landing_page(lessons, {}, [])
    question = "- [05 · Which texts?](lessons/05_show_texts.ipynb), 3 min"
    assert f"## Loading the pre-trained BERT model\n\n{question}\n" in page


def test_the_applications_are_named_above_all_questions(lessons: list[Lesson]) -> None:
    above, _, _ = landing_page(lessons, {}, []).partition("\n## ")
    assert "[tag words](applications/A2_tag_words.ipynb)." in above
    assert "Beyond classifying" not in landing_page(lessons[:1], {}, [])


def test_doors_picture_and_books_are_there_when_the_project_has_them(lessons: list[Lesson]) -> None:
    bare = landing_page(lessons, {}, [])
    assert bare.count('class="door"') == 1
    assert "![" not in bare
    pages = {"README.md": "project.md", "WORKSHOP.md": "workshop.md", "notebooks/before-and-after.png": "x.png"}
    full = landing_page(lessons, pages, [Path("book/b.epub"), Path("book/b.pdf")])
    assert [address in full for address in ("lessons/05_show_texts.html", "project.html", "workshop.html")] == [
        True
    ] * 3
    assert "![Three maps" in full
    assert '<a download href="book/b.epub">EPUB</a> · <a download href="book/b.pdf">PDF</a>' in full
    assert "\nproject\nworkshop\n" in full


def test_lessons_beside_no_package_have_no_reference_and_the_readme_another_title_than_the_first_page(
    tmp_path: Path,
) -> None:
    write_lesson(tmp_path / "notebooks" / "05_show_texts.ipynb", [text("# Q5 · Which texts?")])
    (tmp_path / "README.md").write_text("# The series\n\n# Part\n")
    Sources(tmp_path / "notebooks").write(tmp_path / "out")
    assert (tmp_path / "out" / "project.md").read_text() == "# Install, run, use\n\n# Part\n"
    assert not (tmp_path / "out" / "api").exists()
