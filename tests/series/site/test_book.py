"""The book: an EPUB and a PDF of two small lessons, read with other people's readers."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from conftest import code, text
from test_publishing import recipes

from bertft_helpers.errors import MissingError
from bertft_helpers.series.site.book import EPUB, PDF, build_epub, build_pdf, contents
from bertft_helpers.series.site.printing import BROWSERS, first_pages

XHTML = "{http://www.w3.org/1999/xhtml}"
LONG_LINE = "words = [" + ", ".join(f"'word{n:03}'" for n in range(60)) + ", 'the_last_word']"
GLOSSARY = "# Glossary\n\n- **logit** ([06](06_second.ipynb)): A score before softmax.\n"


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """Two lessons with a figure, a solution, a long line of code and links, and a glossary."""
    pytest.importorskip("myst_nb")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    drawn = code("draw()")
    figure = {"data": {"image/png": red_square()}, "metadata": {"image/png": {"alt": "a red square"}}}
    drawn.outputs = [nbformat.v4.new_output("display_data", **figure)]
    first = [text("# Q5 · First?\n\nColab: not published yet · Next: [06](06_second.ipynb)"), code("hidden", "setup")]
    first += [text("See [lesson 06](06_second.ipynb) and [the lock](../requirements.lock)."), code(LONG_LINE), drawn]
    write(folder / "05_first.ipynb", first)
    write(folder / "06_second.ipynb", [text("# Q6 · Second?"), code("answer = 42", "solution")])
    (folder / "GLOSSARY.md").write_text(GLOSSARY)
    return folder


def red_square() -> str:
    from PIL import Image

    png = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(png, "png")
    return base64.b64encode(png.getvalue()).decode()


def write(path: Path, cells: list[nbformat.NotebookNode]) -> None:
    lesson = nbformat.v4.new_notebook(cells=cells)
    lesson.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(lesson, path)


def test_the_contents_name_each_document_with_its_page_once_known() -> None:
    titles = {"05_first": "05 · <First>", "glossary": "Glossary"}
    assert contents(titles, {"05_first": 2}) == (
        '<ol class="contents"><li><a href="#document-05_first">05 · &lt;First&gt;</a><span>2</span></li>'
        '<li><a href="#document-glossary">Glossary</a><span></span></li></ol>'
    )


@pytest.mark.slow
def test_every_page_of_the_epub_is_well_formed_and_holds_what_it_shows(lessons: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build_epub(lessons, tmp_path / "out")) as book:
        assert book.namelist()[0] == "mimetype"
        pages = {name: ElementTree.fromstring(book.read(name)) for name in book.namelist() if name.endswith(".xhtml")}
        files, manifest = set(book.namelist()), book.read("content.opf").decode()
    assert {"05_first.xhtml", "06_second.xhtml", "glossary.xhtml", "nav.xhtml"} <= set(pages)
    images = [image for page in pages.values() for image in page.iter(f"{XHTML}img")]
    assert [image.get("alt") for image in images] == ["a red square"]
    assert {image.get("src") for image in images} <= files
    assert all(f'href="{image.get("src")}"' in manifest for image in images)
    words = {name: "".join(page.itertext()) for name, page in pages.items()}
    assert "the_last_word" in words["05_first.xhtml"]
    assert "answer = 42" in words["06_second.xhtml"]
    assert "hidden" not in words["05_first.xhtml"]
    assert "not published" not in words["05_first.xhtml"]
    links = {link.get("href") for link in pages["05_first.xhtml"].iter(f"{XHTML}a")}
    assert "06_second.xhtml" in links
    assert not [link for link in links if link and "requirements" in link]


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser prints here")
def test_the_pdf_numbers_its_pages_as_its_contents_say_and_wraps_code(lessons: Path, tmp_path: Path) -> None:
    from pypdf import PdfReader

    (command,) = recipes("book")
    subprocess.run(command.split(), cwd=lessons.parent, check=True)
    pdf = tmp_path / "build/book" / PDF
    assert {path.name for path in pdf.parent.iterdir()} == {EPUB, PDF}
    pages = [page.extract_text() for page in PdfReader(pdf).pages]
    assert first_pages(pdf) == {"05_first": 2, "06_second": 3, "glossary": 4}
    assert "Q5 · First?" in pages[1]
    assert "Q6 · Second?" in pages[2]
    assert [number in page.split() for number, page in zip("1234", pages, strict=True)] == [False, True, True, True]
    listed = pages[0][pages[0].index("05 ·") :].split()
    assert [word for word in listed if word in "234"] == ["2", "3", "4"]
    assert "the_last_word" in pages[1].replace("\n", "")
    assert sum(len(page.images) for page in PdfReader(pdf).pages) == 1


def test_without_a_browser_the_pdf_says_what_to_install(
    lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="--epub-only"):
        build_pdf(lessons, tmp_path / "out")
    assert not (tmp_path / "out").exists()
