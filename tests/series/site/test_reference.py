"""The reference is complete: what is not in it is named, with the reason, and no lesson imports it."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import bertft_helpers
from bertft_helpers.series.catalogue import find_lessons
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.site.reference import INTERNAL, modules, reference_page

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
DESCRIBED = {module.name for module in modules()}


def test_every_module_is_in_the_reference_or_in_a_named_part_that_it_leaves_out() -> None:
    found = {part.name for part in pkgutil.walk_packages(bertft_helpers.__path__, "bertft_helpers.")}
    assert {name.split(".")[1] for name in found - DESCRIBED} == set(INTERNAL)
    assert DESCRIBED - found == {"bertft_helpers"}


def test_nothing_that_a_lesson_imports_is_left_out() -> None:
    imported = {
        name
        for lesson in find_lessons(NOTEBOOKS)
        for cell in read_notebook(lesson.path).cells
        if cell.cell_type == "code"
        for name in re.findall(r"^\s*(?:from|import) (bertft_helpers\.[\w.]+)", cell.source, flags=re.MULTILINE)
    }
    assert "bertft_helpers.training" in imported
    assert imported - DESCRIBED == set()


def test_the_first_page_says_of_each_folder_and_module_what_it_is_for() -> None:
    page = reference_page()
    assert [module.name for module in modules() if not module.summary] == []
    several = page.index("## own_texts.several\n\nSeveral labels for one text: ")
    assert page.index("\n- [own_texts.winner](bertft_helpers.own_texts.winner.rst): Which of ") < several
    assert several < page.index("\n- [own_texts.several.winner](bertft_helpers.own_texts.several.winner.rst): Which ")
