"""Gate for the numbers in a lesson's text: each was printed where it is told, so a study run again can't outdate it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nbformat import NotebookNode

from bertft_helpers.series.catalogue import number_of
from bertft_helpers.series.notebook import tags

__all__ = ["JUDGING", "Finding", "numbers_told", "unprinted_number"]

Finding = tuple[int | None, str]

JUDGING = ("25", "26", "27", "28", "29", "30")  # the lessons whose conclusions rest on stored studies
_WHOLE = ("", "Choices", "Takeaways")  # the opening and the sections that look back may tell what any cell printed
_UNHELD = "Exercises"  # their numbers are what the reader shall find
_HEADING = re.compile(r"^## +(.*)$", flags=re.MULTILINE)
_NOT_PROSE = re.compile(r"```.*?```|`[^`]*`|\$[^$]*\$|(?<=\])\((?!https?:)[^)]*\)", flags=re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+|\n\s*\n|\n(?=[#|>]|\s*(?:[-*]|\d+\.) )")
_SOURCE = re.compile(r"\]\(https?://")
_TOLD = re.compile(r"(?<![\w.,])(?:\d+\.\d+(?!\w|\.\d)(?:\s?%)?|\d+\s?%)")
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?:\s?%)?")
_MARKUP = re.compile(r"<style.*?</style>|<[^>]*>", flags=re.DOTALL)


@dataclass
class _Section:
    """What stands under one ``##`` heading: texts with the positions of their cells, what is printed, the code."""

    title: str
    texts: list[tuple[int, str]] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)


def unprinted_number(name: str, notebook: NotebookNode) -> Iterator[Finding]:
    """Every decimal and every percentage in the text of a lesson that judges studies was printed in its section.

    An output must hold it with as many decimals or more, of which the text may give the rounded ones (in per cent or
    points too); a number that the code writes literally counts as well. The opening, Choices, Takeaways and sentences
    that name a section may tell what any section printed. A sentence that links its source is not held to it.
    """
    if number_of(name) not in JUDGING:
        return
    sections = list(_sections(notebook))
    parameters = [cell.source for cell in notebook.cells if "parameters" in tags(cell)]
    everywhere = _Known(sections, [])
    for section in sections:
        here = everywhere if section.title in _WHOLE else _Known([section], parameters)
        for position, sentence in _sentences(section):
            known = everywhere if "section" in sentence.lower() else here
            for told in numbers_told(sentence):
                if not known.holds(told, in_points="point" in sentence):
                    yield position, f"tells {told}, which no cell of the section prints: {sentence.strip()[:80]!r}"


def numbers_told(sentence: str) -> list[str]:
    """The decimals and percentages of a sentence as they are written; none where it links its source."""
    if _SOURCE.search(sentence):
        return []
    return [" ".join(found.split()) for found in _TOLD.findall(sentence)]


class _Number(NamedTuple):
    value: float
    decimals: int
    percent: bool


class _Known:
    """The numbers that sections print, and those that their code or the parameters write."""

    def __init__(self, sections: Sequence[_Section], parameters: Sequence[str]) -> None:
        outputs = [text for section in sections for text in section.printed]
        sources = [text for section in sections for text in section.code]
        self.printed = {_parsed(found) for text in outputs for found in _NUMBER.findall(text)}
        written = [_parsed(found) for text in [*sources, *parameters] for found in _NUMBER.findall(text)]
        self.written = {_share(number) for number in written}

    def holds(self, told: str, in_points: bool) -> bool:
        """Whether ``told`` is one of the written numbers, or one of the printed ones, rounded."""
        number = _parsed(told)
        return _share(number) in self.written or any(_gives(one, number, in_points) for one in self.printed)


def _parsed(text: str) -> _Number:
    digits = text.rstrip("% ").replace(",", "")
    decimals = 9 if "e" in digits else len(digits.partition(".")[2])
    return _Number(float(digits), decimals, text.endswith("%"))


def _share(number: _Number) -> float:
    return round(number.value / 100 if number.percent else number.value, 9)


def _gives(printed: _Number, told: _Number, in_points: bool) -> bool:
    """Whether rounding the printed number gives the told one, if need be after a change of units."""
    if printed.percent == told.percent and _rounds(printed.value, printed.decimals, told):
        return True
    hundredths = told.percent or in_points
    return hundredths and not printed.percent and _rounds(100 * printed.value, printed.decimals - 2, told)


def _rounds(value: float, decimals: int, told: _Number) -> bool:
    return decimals >= told.decimals and abs(value - told.value) <= 0.5 * 10**-told.decimals + 1e-9


def _sections(notebook: NotebookNode) -> Iterator[_Section]:
    """The parts between the ``##`` headings; one cell of text may end a section and begin the next."""
    section = _Section("")
    for position, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            section.printed += _printed(cell)
            section.code += [] if "solution" in tags(cell) else [cell.source]
        elif cell.cell_type == "markdown":
            before, *rest = _HEADING.split(_NOT_PROSE.sub("", cell.source))
            section.texts.append((position, before))
            for title, text in zip(rest[::2], rest[1::2], strict=True):
                yield section
                section = _Section(title, [(position, text)])
    yield section


def _sentences(section: _Section) -> Iterator[tuple[int, str]]:
    if section.title.startswith(_UNHELD):
        return
    for position, text in section.texts:
        yield from ((position, sentence) for sentence in _SENTENCE_END.split(text))


def _printed(cell: NotebookNode) -> Iterator[str]:
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        data = output.get("data", {})
        yield _MARKUP.sub(" ", data.get("text/html", "")) or data.get("text/plain", "")
