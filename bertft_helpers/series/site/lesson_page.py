"""A lesson as a page: the same cells and outputs, with the parts folded, boxed or quiet that a reader may pass over."""

from __future__ import annotations

import copy
import hashlib
import html
import itertools
import re
from base64 import b64decode
from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode

from bertft_helpers.series.notebook import tags

__all__ = ["FOLDED", "alt_texts", "clean_table", "graduates", "page_of", "shown_outputs"]


FOLDED = {"setup": "set-up", "solution": "a solution"}  # tag -> what the closed fold says
_NAVIGATION = re.compile(r"^.*(?:Previous: \[|Next: \[|\[Glossary\]\().*$", flags=re.MULTILINE)
_CHECKED = re.compile(r"✓ .+|– .+: not examined in this small run|Exercise \w+: correct")
_STYLE = re.compile(r"<style\b.*?</style>", flags=re.DOTALL | re.IGNORECASE)
_TABLE = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div", "p", "b", "strong", "em", "code", "ul", "li"}


def page_of(notebook: NotebookNode, row: str, api_page: str | None) -> NotebookNode:
    """The lesson with ``row`` (Markdown: where to open and download it) in place of its line of links.

    ``api_page`` is the folder of the reference, seen from the page; None leaves the links into it out (the book).
    """
    page = copy.deepcopy(notebook)
    page.cells = list(_with_links_to_package(page.cells, api_page))
    page.metadata.pop("bertft", None)
    first = page.cells[0]
    first.source = _NAVIGATION.sub("", first.source).rstrip() + f"\n\n{row}\n"
    for cell in page.cells:
        if cell.cell_type == "code":
            _fold(cell)
            cell.outputs = [shown for output in cell.outputs for shown in shown_outputs(output)]
    return page


def _with_links_to_package(cells: list[NotebookNode], api_page: str | None) -> Iterator[NotebookNode]:
    for cell in cells:
        yield cell
        names = graduates(cell)
        if names and api_page is not None:
            links = ", ".join(f"{{py:obj}}`{name} <bertft_helpers.{name}>`" for name in names)
            source = f":::{{container}} graduated\nIn the package from here on: {links}\n:::"
            yield nbformat.v4.new_markdown_cell(source, id=f"{cell.id[:50]}-package")


def graduates(cell: NotebookNode) -> list[str]:
    """What a cell writes out for the package, like ``training.fit``."""
    return [tag.removeprefix("graduates:") for tag in tags(cell) if tag.startswith("graduates:")]


def _fold(cell: NotebookNode) -> None:
    for tag, what in FOLDED.items():
        if tag in tags(cell):
            cell.metadata.tags = [*tags(cell), "hide-input"]
            cell.metadata.mystnb = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}


def shown_outputs(output: NotebookNode) -> Iterator[NotebookNode]:
    """An output as the site shows it, in the one form that it chose: a figure, a table, or text.

    No markup of an output survives but that of tables: a data set's text must never act as a page.
    """
    if output.output_type == "stream":
        yield from _text_and_checks(output.text)
        return
    data = output.get("data", {})
    if "image/png" in data:
        yield _display("image/png", data["image/png"])
    elif "text/html" in data:
        yield _display("text/html", clean_table(data["text/html"]))
    elif "text/plain" in data:
        yield _display("text/plain", data["text/plain"])


def _text_and_checks(text: str) -> Iterator[NotebookNode]:
    for checked, lines in itertools.groupby(text.splitlines(), lambda line: bool(_CHECKED.fullmatch(line))):
        if checked:
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            yield _display("text/html", f'<ul class="checks">{items}</ul>')
        else:
            yield nbformat.v4.new_output("stream", text="\n".join(lines) + "\n")


def _display(kind: str, content: str) -> NotebookNode:
    return nbformat.v4.new_output("display_data", data={kind: content})


def clean_table(markup: str) -> str:
    """HTML reduced to tables and their words: no scripts, styles, links, pictures or handlers."""
    import bleach

    return bleach.clean(_STYLE.sub("", markup), tags=_TABLE, attributes={}, strip=True)


def alt_texts(notebook: NotebookNode) -> dict[str, str]:
    """The alt text of each figure by the sha256 of its PNG, which is how myst-nb names its file."""
    figures = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                figures[hashlib.sha256(b64decode(output.data["image/png"])).hexdigest()] = alt
    return figures
