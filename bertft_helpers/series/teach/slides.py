"""Slides of each part of the series: questions and answers, code written out, figures, choices, takeaways.

nbconvert makes them with reveal.js; the player (MIT licence, in ``reveal/``) is written into each page, so that it
opens without a network.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.notebook import read_notebook, tags
from bertft_helpers.series.overview import lessons_by_part
from bertft_helpers.series.pages import TEMPLATES
from bertft_helpers.series.teach.editions import learners_pages, linked_from

__all__ = ["LONGEST_CODE", "deck_notebook", "deck_page", "write_slides"]

LONGEST_CODE = 24  # lines that can be read from the last row


def write_slides(folder: Path, out: Path) -> list[Path]:
    """Write one self-contained page of slides for each part; the pages."""
    out.mkdir(parents=True, exist_ok=True)
    pages, targets = [], learners_pages(folder)
    for place, (title, lessons) in enumerate(lessons_by_part(find_lessons(folder)).items(), start=1):
        page = out / f"{place:02}_{re.sub(r'[^a-z0-9]+', '_', title.lower()).strip('_')}.html"
        page.write_text(deck_page(title, lessons, targets), encoding="utf-8")
        pages.append(page)
    return pages


def deck_page(title: str, lessons: Sequence[Lesson], targets: Mapping[str, str]) -> str:
    """The slides of some lessons as one HTML page, with links to ``targets``, the learners' edition."""
    from nbconvert import SlidesExporter

    reveal = TEMPLATES / "reveal"
    css = "\n".join((reveal / name).read_text(encoding="utf-8") for name in ("reveal.css", "white.css"))
    deck = {"title": title, "css": css, "js": (reveal / "reveal.js").read_text(encoding="utf-8")}
    exporter = SlidesExporter(template_name="slide_template", extra_template_basedirs=[str(TEMPLATES)])
    body, _ = exporter.from_notebook_node(deck_notebook(title, lessons, targets), {"deck": deck})
    return body


def deck_notebook(title: str, lessons: Sequence[Lesson], targets: Mapping[str, str]) -> NotebookNode:
    """The chosen cells of the lessons, marked as slides: a column for each lesson."""
    cells = [_text(f"# {title}\n\n" + "\n".join(f"- {_question(lesson)}" for lesson in lessons), "slide")]
    for lesson in lessons:
        cells += _slides_of(linked_from("slides/deck.html", lesson, targets))
    return nbformat.v4.new_notebook(cells=cells)


def _question(lesson: Lesson) -> str:
    return read_notebook(lesson.path).cells[0].source.splitlines()[0].removeprefix("# ")


def _slides_of(notebook: NotebookNode) -> Iterator[NotebookNode]:
    title, heading = notebook.cells[0].source, ""
    answer = title.split("**You need**")[0]
    yield _text(answer, "slide")
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            heading = next(iter(re.findall(r"^#+ (.*)$", cell.source, flags=re.MULTILINE)), heading)
            if heading.startswith(("Choices", "Takeaways")) and cell.source.startswith("#"):
                yield _text(_before(cell.source, "**Graduated here", "**Next"), "subslide")
        elif any(tag.startswith("graduates:") for tag in tags(cell)):
            if len(cell.source.splitlines()) <= LONGEST_CODE:
                yield from (_text(f"### {heading}", "subslide"), _only_code(cell))
        elif _figures(cell):
            yield from (_text(f"### {heading}", "subslide"), _only_figures(cell))


def _before(text: str, *ends: str) -> str:
    for end in ends:
        text = text.split(end)[0]
    return text


def _text(source: str, kind: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}})


def _only_code(cell: NotebookNode) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(f"```python\n{cell.source}\n```")


def _figures(cell: NotebookNode) -> list[NotebookNode]:
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def _only_figures(cell: NotebookNode) -> NotebookNode:
    shown = copy.deepcopy(cell)
    shown.source, shown.outputs = "", _figures(shown)
    return shown
