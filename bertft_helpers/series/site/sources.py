"""The sources that Sphinx reads: lessons and pages of the project, written into a folder of their own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bertft_helpers.errors import MissingError
from bertft_helpers.series.catalogue import find_lessons, number_of
from bertft_helpers.series.notebook import read_notebook, write_notebook
from bertft_helpers.series.overview import PICTURE
from bertft_helpers.series.published import Repository, repository_of
from bertft_helpers.series.site.glossary import glossary_page, hover_definitions
from bertft_helpers.series.site.landing import landing_page, page_name
from bertft_helpers.series.site.lesson_page import alt_texts, graduates, page_of
from bertft_helpers.series.site.links import rewrite_links
from bertft_helpers.series.site.reference import module_page, modules, reference_page
from bertft_helpers.series.stamp import stamped_source, with_local_links

__all__ = [
    "AUTHOR",
    "DOCUMENTS",
    "STATIC",
    "TITLE",
    "TITLES",
    "Sources",
]


TITLE, AUTHOR = "Fine-tuning BERT in PyTorch", "The bertft maintainers"
STATIC = Path(__file__).with_name("static")
DOCUMENTS = {  # file of the project -> page of the site, each included where it exists
    "README.md": "project.md",
    "notebooks/README.md": "map.md",
    "notebooks/GLOSSARY.md": "glossary.md",
    "WORKSHOP.md": "workshop.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "tests/README.md": "tests.md",
    "CHANGELOG.md": "changelog.md",
    "bertft_helpers/README.md": "api/index.md",  # made from docstrings
}

TITLES = {  # page of the site -> its title there, where the file's own says too little beside the other pages
    "project.md": "Install, run, use",
    "map.md": "Minutes and memory",
}


class Sources:
    """Everything that one build is made from; ``folder`` holds the lessons, its parent the project.

    ``book`` is a folder with the lessons as books, each of which the first page then offers.
    """

    def __init__(self, folder: Path, book: Path | None = None) -> None:
        """Raises UnknownName when the folder has no lesson, MissingError when ``book`` has no book."""
        self.folder, self.root = folder, folder.parent
        self.books = _books_in(book) if book else []
        self.lessons = find_lessons(folder)
        self.repository: Repository | None = repository_of(stamped_source(read_notebook(self.lessons[0].path)))
        self.pages = {origin: page for origin, page in DOCUMENTS.items() if self._file(origin).exists()}
        self.pages |= {lesson.origin: f"{page_name(lesson)}.ipynb" for lesson in self.lessons}
        if (folder / PICTURE).exists():
            self.pages[f"notebooks/{PICTURE}"] = PICTURE
        self.has_reference = "api/index.md" in self.pages.values()
        self.written_out: dict[str, str] = {}
        self.figure_alts: dict[str, str] = {}

    def write(self, out: Path) -> None:
        """Write all sources and conf.py into ``out``."""
        for origin in self.pages:
            self._write_page(origin, out)
        for path in self.books:
            _copy(path, out / "_extra" / "book" / path.name)
        shutil.copytree(STATIC, out / "_static")
        _write(out / "index.md", landing_page(self.lessons, self.pages, self.books))
        _write(out / "conf.py", "".join(f"{key} = {value!r}\n" for key, value in self._settings().items()))

    def _file(self, origin: str) -> Path:
        """A file of the project; the lessons may lie in a folder of another name."""
        inside = origin.removeprefix("notebooks/")
        return self.root / origin if inside == origin else self.folder / inside

    def _write_page(self, origin: str, out: Path) -> None:
        source, page = self._file(origin), self.pages[origin]
        (out / page).parent.mkdir(parents=True, exist_ok=True)
        if origin.endswith(".ipynb"):
            notebook = with_local_links(read_notebook(source), source.name)
            self.figure_alts |= alt_texts(notebook)
            self.written_out |= {name: number_of(source.name) for cell in notebook.cells for name in graduates(cell)}
            shown = page_of(notebook, self._row(origin, page), "../api" if self.has_reference else None)
            for cell in shown.cells:
                if cell.cell_type == "markdown":
                    cell.source = rewrite_links(cell.source, origin, page, self.pages, self.repository)
            write_notebook(shown, out / page)
            _copy(source, out / "_extra" / "notebooks" / source.name)
        elif page == "api/index.md":
            _write_reference(out)
        elif origin.endswith(".md"):
            text = source.read_text(encoding="utf-8")
            text = glossary_page(text) if page == "glossary.md" else text
            text = re.sub(r"\A# .*", f"# {TITLES[page]}", text) if page in TITLES else text
            _write(out / page, rewrite_links(text, origin, page, self.pages, self.repository))
        else:
            _copy(source, out / page)

    def _row(self, origin: str, page: str) -> str:
        """Where a lesson can be run and downloaded, as one line of HTML."""
        hosts = self.repository.launchers(origin) if self.repository else {}
        links = [f'<a href="{address}">Open in {host}</a>' for host, address in hosts.items()]
        links.append(f'<a download href="../notebooks/{Path(page).name}">Download as notebook</a>')
        return f'<p class="launch">{" · ".join(links)}</p>'

    def _settings(self) -> dict[str, object]:
        glossary = self.folder / "GLOSSARY.md"
        return {
            "project": TITLE,
            "author": AUTHOR,
            "extensions": [
                "myst_nb",
                "sphinx.ext.autodoc",
                "sphinx.ext.viewcode",
                "bertft_helpers.series.site.extension",
            ],
            "nb_execution_mode": "off",
            "nb_ipywidgets_js": {},  # the only scripts that a page would fetch from another host
            "myst_enable_extensions": ["colon_fence"],
            "myst_heading_anchors": 3,
            "html_theme": "sphinx_book_theme",
            "html_theme_options": {
                "use_download_button": False,
                "home_page_in_toc": True,
                "show_toc_level": 2,
                "collapse_navbar": True,  # else every page repeats the names of all modules, a quarter of a build
                "navigation_with_keys": False,
                "navbar_persistent": [],  # the search is in the side bar
            },
            "html_title": TITLE,
            "html_static_path": ["_static"],
            "html_extra_path": ["_extra"],
            "html_css_files": ["site.css"],
            "html_js_files": ["terms.js", "toggles.js"],
            "html_copy_source": False,
            "html_show_copyright": False,
            "exclude_patterns": ["_extra"],
            "viewcode_follow_imported_members": False,  # what two modules offer would have a way back into one of them
            "autodoc_typehints": "signature",
            "autodoc_type_aliases": {"ArrayLike": "ArrayLike"},  # numpy's is a union of half a page
            "autodoc_preserve_defaults": True,
            "autodoc_member_order": "bysource",
            "lesson_pages": {lesson.number: page_name(lesson) for lesson in self.lessons},
            "hover_definitions": hover_definitions(glossary.read_text(encoding="utf-8")) if glossary.exists() else {},
            "figure_alts": self.figure_alts,
            "written_out": self.written_out,
        }


def _books_in(folder: Path) -> list[Path]:
    books = [path for path in sorted(folder.glob("*.*")) if path.suffix in (".epub", ".pdf")]
    if not books:
        raise MissingError(f"{folder} has no book (.epub, .pdf): bertft book --out {folder} makes them")
    return books


def _write_reference(out: Path) -> None:
    for module in modules():
        if not module.is_folder:
            _write(out / "api" / f"{module.name}.rst", module_page(module))
    _write(out / "api" / "index.md", reference_page())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
