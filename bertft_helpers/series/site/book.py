"""``bertft book``: all lessons as one EPUB and one PDF, for reading without a network."""

from __future__ import annotations

import html
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bertft_helpers.files import scratch_folder, write_bytes
from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.notebook import read_notebook, tags, write_notebook
from bertft_helpers.series.overview import lessons_by_part
from bertft_helpers.series.published import repository_of
from bertft_helpers.series.site.build import run_sphinx
from bertft_helpers.series.site.glossary import glossary_page
from bertft_helpers.series.site.landing import short_title, toctree
from bertft_helpers.series.site.lesson_page import alt_texts, page_of
from bertft_helpers.series.site.links import rewrite_links
from bertft_helpers.series.site.printing import find_browser, first_pages, print_page
from bertft_helpers.series.site.sources import AUTHOR, STATIC, TITLE
from bertft_helpers.series.stamp import stamped_source, with_local_links

__all__ = ["CONTENTS", "EPUB", "GLOSSARY", "PDF", "BookSources", "build_epub", "build_pdf", "contents"]

EPUB, PDF = "fine-tuning-bert.epub", "fine-tuning-bert.pdf"
GLOSSARY = "GLOSSARY.md"
CONTENTS = "<!-- contents -->"  # where the PDF has its table of contents; an EPUB's reader shows one of its own


def build_epub(folder: Path, out: Path) -> Path:
    """Write the EPUB of the lessons in ``folder`` into ``out`` and return its path.

    Raises RunError with Sphinx's words for any warning of it.
    """
    with scratch_folder("book") as scratch:
        BookSources(folder).write(scratch / "sources")
        run_sphinx("epub", scratch / "sources", scratch / "epub")
        return _keep(scratch / "epub" / EPUB, out)


def build_pdf(folder: Path, out: Path) -> Path:
    """Write the PDF of the lessons in ``folder`` into ``out`` and return its path: one page of HTML, printed.

    Raises MissingError where no browser is installed, RunError when Sphinx or the browser fails.
    """
    browser = find_browser()
    with scratch_folder("book") as scratch:
        BookSources(folder).write(scratch / "sources")
        run_sphinx("singlehtml", scratch / "sources", scratch / "html")
        page, pdf = scratch / "html" / "index.html", scratch / PDF
        text, titles, numbers = page.read_text(encoding="utf-8"), _titles(folder), dict[str, int]()
        for _ in range(2):  # the pages on which lessons begin are known once they were printed
            page.write_text(text.replace(CONTENTS, contents(titles, numbers)), encoding="utf-8")
            print_page(browser, page, pdf)
            numbers = first_pages(pdf)
        return _keep(pdf, out)


def contents(titles: Mapping[str, str], numbers: Mapping[str, int]) -> str:
    """A table of contents: the title of each document, by name, with its page where ``numbers`` has one."""
    rows = "".join(
        f'<li><a href="#document-{name}">{html.escape(title)}</a><span>{numbers.get(name, "")}</span></li>'
        for name, title in titles.items()
    )
    return f'<ol class="contents">{rows}</ol>'


def _titles(folder: Path) -> dict[str, str]:
    titles = {lesson.name: short_title(lesson) for lesson in find_lessons(folder)}
    return titles | ({"glossary": "Glossary"} if (folder / GLOSSARY).exists() else {})


def _keep(made: Path, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(out / made.name, made.read_bytes())
    return out / made.name


class BookSources:
    """What Sphinx reads for the book: the lessons by part and the glossary. No set-up cells, nothing folded."""

    def __init__(self, folder: Path) -> None:
        """Raises UnknownName when the folder has no lesson."""
        self.folder = folder
        self.lessons = find_lessons(folder)
        self.repository = repository_of(stamped_source(read_notebook(self.lessons[0].path)))
        self.pages = {lesson.origin: f"{lesson.name}.ipynb" for lesson in self.lessons}
        if (folder / GLOSSARY).exists():
            self.pages[f"notebooks/{GLOSSARY}"] = "glossary.md"
        self.figure_alts: dict[str, str] = {}

    def write(self, out: Path) -> None:
        """Write all sources and conf.py into ``out``, a new folder."""
        out.mkdir(parents=True)
        for lesson in self.lessons:
            self._write_lesson(lesson, out)
        if "glossary.md" in self.pages.values():
            text = glossary_page((self.folder / GLOSSARY).read_text(encoding="utf-8"))
            (out / "glossary.md").write_text(self._linked(text, f"notebooks/{GLOSSARY}"), encoding="utf-8")
        shutil.copytree(STATIC, out / "_static")
        (out / "index.md").write_text(self._contents(), encoding="utf-8")
        settings = "".join(f"{key} = {value!r}\n" for key, value in self._settings().items())
        (out / "conf.py").write_text(settings, encoding="utf-8")

    def _write_lesson(self, lesson: Lesson, out: Path) -> None:
        notebook = with_local_links(read_notebook(lesson.path), lesson.path.name)
        self.figure_alts |= alt_texts(notebook)
        page = page_of(notebook, "", None)
        page.cells = [cell for cell in page.cells if "setup" not in tags(cell)]
        for cell in page.cells:
            if cell.cell_type == "markdown":
                cell.source = self._linked(cell.source, lesson.origin)
            else:
                cell.metadata.tags = [tag for tag in tags(cell) if tag != "hide-input"]  # paper has nothing to click
        write_notebook(page, out / lesson.path.name)

    def _linked(self, markdown: str, origin: str) -> str:
        return rewrite_links(markdown, origin, self.pages[origin], self.pages, self.repository)

    def _contents(self) -> str:
        parts = {
            title: [f"{short_title(lesson)} <{lesson.name}>" for lesson in lessons]
            for title, lessons in lessons_by_part(self.lessons).items()
        }
        if "glossary.md" in self.pages.values():
            parts["Terms"] = ["glossary"]
        return _CONTENTS + "\n".join(toctree(title, pages, (":maxdepth: 1",)) for title, pages in parts.items())

    def _settings(self) -> dict[str, object]:
        return {
            "project": TITLE,
            "author": AUTHOR,
            "copyright": "the bertft maintainers; text CC BY 4.0, code Apache 2.0",
            "version": version("bertft-helpers"),
            "language": "en",
            "extensions": ["myst_nb", "bertft_helpers.series.site.extension"],
            "nb_execution_mode": "off",
            "nb_ipywidgets_js": {},
            "myst_enable_extensions": ["colon_fence"],
            "myst_heading_anchors": 3,
            "html_theme": "basic",
            "pygments_style": "sphinx",
            "html_static_path": ["_static"],
            "html_css_files": ["print.css"],
            "html_title": TITLE,
            "html_show_copyright": False,
            "html_copy_source": False,
            "epub_basename": EPUB.removesuffix(".epub"),
            "epub_title": TITLE,
            "epub_description": "Thirty questions, each answered by one executable lesson",
            "epub_css_files": ["epub.css"],
            "epub_show_urls": "no",
            "epub_tocdepth": 2,
            "epub_exclude_files": ["_static/terms.js", "_static/toggles.js", "_static/site.css", "_static/print.css"],
            "figure_alts": self.figure_alts,
        }


_CONTENTS = f"""# {TITLE}

One executable lesson for each question from "how do I install this?" to "how do I analyse a whole task?". This book
holds the lessons with the outputs of a real run, for reading without a network; the notebooks are what you run.

Text and figures: CC BY 4.0. Code: Apache License 2.0. The news texts are quoted from the BBC news data set of D. Greene
and P. Cunningham (ICML 2006); their copyright is with the BBC.

{CONTENTS}

"""
