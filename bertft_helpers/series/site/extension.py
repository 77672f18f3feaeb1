"""What Sphinx does beyond its own: boxes around exercises, alt texts, explained terms, links to lessons."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from bertft_helpers.series.catalogue import NUMBER

__all__ = ["PROSE", "box_exercises", "describe_figures", "explain_terms", "link_lessons", "setup"]


PROSE = ("lessons/", "applications/")
_LESSON = re.compile(rf"\blesson ({NUMBER})\b")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx, which reads the four values from conf.py."""
    for name in ("figure_alts", "hover_definitions", "lesson_pages", "written_out"):
        app.add_config_value(name, {}, "env", [dict])
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", link_lessons)
    app.connect("doctree-read", box_exercises)
    app.connect("doctree-resolved", describe_figures)
    app.connect("doctree-resolved", explain_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def link_lessons(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make "lesson 19" in a docstring a link, and name the lesson of a function whose docstring does not."""
    number = app.config.written_out.get(name.removeprefix("bertft_helpers."))
    if number and not any(number in _LESSON.findall(line) for line in lines):
        lines += ["", f"Written out in lesson {number}."]
    pages = app.config.lesson_pages

    def link(match: re.Match[str]) -> str:
        return f":doc:`lesson {match[1]} </{pages[match[1]]}>`" if match[1] in pages else match[0]

    lines[:] = [_LESSON.sub(link, line) for line in lines]


def box_exercises(app: Sphinx, doctree: nodes.document) -> None:
    """Put each exercise (its task, its solution, its check) into a box."""
    for section in list(doctree.findall(nodes.section)):
        starts = [n for n, child in enumerate(section.children) if _begins_exercise(child)]
        for start, end in reversed(list(pairwise([*starts, len(section)]))):
            cells = [n for n in range(start, end) if _is_code_cell(section[n])]
            boxed = section.children[start : (cells[-1] if cells else start) + 1]
            box = nodes.container("", *boxed, classes=["exercise"])
            section[start : start + len(boxed)] = [box]


def _begins_exercise(node: nodes.Node) -> bool:
    shown = [child for child in node.children if child.astext()] if isinstance(node, nodes.paragraph) else []
    first = shown[0] if shown else None  # markup at a paragraph's start has an empty text before it
    return isinstance(first, nodes.strong) and first.astext().startswith("Exercise")


def _is_code_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def describe_figures(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Give each figure the alt text that its lesson gave it."""
    for image in doctree.findall(nodes.image):
        alt = app.config.figure_alts.get(PurePosixPath(image["uri"]).stem)
        if alt:
            image["alt"] = alt


def explain_terms(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Link the first use of each term on a lesson's page to the glossary, with its definition as the title."""
    if not page.startswith(PROSE) or not app.config.hover_definitions:
        return
    waiting = dict(app.config.hover_definitions)
    for text in [text for text in doctree.findall(nodes.Text) if _is_prose(text)]:
        if parts := _linked(app, page, text, waiting):
            text.parent.replace(text, parts)


def _is_prose(text: nodes.Text) -> bool:
    node: Any = text.parent
    if not isinstance(node, nodes.paragraph | nodes.emphasis):
        return False
    while node is not None:
        if isinstance(node, nodes.reference | nodes.title | nodes.literal | nodes.strong):
            return False
        node = node.parent
    return True


def _linked(app: Sphinx, page: str, text: nodes.Text, waiting: dict[str, tuple[str, str]]) -> list[nodes.Node]:
    parts, content, at = [], text.astext(), 0
    for match in _spellings(frozenset(app.config.hover_definitions)).finditer(content):
        name, definition = waiting.pop(match[0], ("", ""))
        if name:
            for spelling in [spelling for spelling, (other, _) in waiting.items() if other == name]:
                del waiting[spelling]
            parts += [nodes.Text(content[at : match.start()]), _reference(app, page, match[0], name, definition)]
            at = match.end()
    return [*parts, nodes.Text(content[at:])] if parts else []


@cache
def _spellings(terms: frozenset[str]) -> re.Pattern[str]:
    """Each term as a whole, the longest that fits: also the later uses, in which no shorter term is meant."""
    longest_first = sorted(terms, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")


def _reference(app: Sphinx, page: str, shown: str, name: str, definition: str) -> nodes.reference:
    _, anchor = app.env.domains["std"].objects["term", name]
    address = f"{app.builder.get_relative_uri(page, 'glossary')}#{anchor}"
    return nodes.reference("", shown, refuri=address, reftitle=definition, internal=True, classes=["term"])
