"""Label a file of any size: rows are read, predicted and written in blocks, so memory stays flat."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.files import new_file, sweep
from bertft_helpers.inference import Classifier
from bertft_helpers.own_texts.inputs import STANDARD_INPUT, Block, open_input
from bertft_helpers.own_texts.several.classifier import SeveralLabels
from bertft_helpers.reading.columns import free_name
from bertft_helpers.reading.damage import Damage
from bertft_helpers.reading.labels import NUMBER
from bertft_helpers.reading.report import FOUND_OUT, Format, Reading
from bertft_helpers.validation import is_blank, wrong_text

__all__ = ["ADDED", "FORMULA", "SEVERAL", "WRITTEN", "Answer", "Labelled", "Row", "label_file"]

Row = dict[str, Any]
Answer = tuple[Any, ...]  # a text's, in the order of the columns
WRITTEN = {".csv": ",", ".tsv": "\t", ".jsonl": ""}
ADDED = ("predicted_label", "predicted_probability")
SEVERAL = ("predicted_labels", "predicted_probabilities")  # where a text has any number of labels
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets run what begins so (OWASP, CSV injection)


class Labelled(NamedTuple):
    """How many rows were written, how many of them have no text and so no label, and how the source was read."""

    rows: int
    without_text: int
    reading: Reading


def label_file(
    classifier: Classifier | SeveralLabels,
    source: str,
    out: Path | None,
    text_column: str = "text",
    on_rows: Callable[[int], None] = lambda rows: None,
    how: Format = FOUND_OUT,
    further: Sequence[str] = (),
) -> Labelled:
    """Copy the rows of ``source`` to ``out`` with the columns of ``ADDED``; a row without text gets none of them.

    ``further`` names what else of a prediction is written (``Prediction.further``), a column each. A classifier for
    several labels fills the columns of ``SEVERAL``, with a list of labels and the probability of every label by name,
    as JSON in CSV and TSV.

    ``source`` is what ``inputs.open_input`` reads; ``out`` a ``.csv``, ``.tsv`` or ``.jsonl`` file, or None for JSON
    lines on standard output. The file is complete or not there. Columns of the source keep names and values; where one
    is called as an answer, the answer gets a number (``predicted_label.1``). In CSV and TSV an answer that a
    spreadsheet would run as a formula gets an apostrophe in front; the source's own fields are never changed. Raises
    FileNotFoundError, and ValueError naming file, rows or column.
    """
    _check_out(source, out)
    without = done = 0
    with contextlib.ExitStack() as stack:
        columns, blocks, reading = stack.enter_context(open_input(source, text_column, how))
        first = list(itertools.islice(blocks, 1))  # what is wrong with the head shows before anything is written
        added = (*(SEVERAL if isinstance(classifier, SeveralLabels) else ADDED), *further)
        answers = [free_name(name, columns) for name in added]
        if answers != [*added]:
            reading.note(
                f"{reading.name} has columns of these names already: the answers are called {' and '.join(answers)}"
            )
        _tell_about_formulas(classifier, out, reading)
        write = stack.enter_context(_writer(out, columns, answers))
        damage = Damage(reading.name)
        for block in itertools.chain(first, blocks):
            for number, row in block:
                damage.look(number, row[text_column])
            without += _label(classifier, block, text_column, answers, reading.name, further)
            write([row for _, row in block])
            done += len(block)
            on_rows(done)
        damage.tell(reading)
    return Labelled(done, without, reading)


def _check_out(source: str, out: Path | None) -> None:
    if out is None:
        return
    if out.suffix.lower() not in WRITTEN:
        raise UserError(f"--out {out} has the ending {out.suffix!r}; allowed are {', '.join(WRITTEN)}")
    if not out.parent.is_dir():
        raise MissingError(f"--out {out}: there is no folder {out.parent}; make it first, or name another")
    if source != STANDARD_INPUT and out.exists() and out.samefile(source):
        raise UserError(f"--out {out} is the file that is read; give another name")


def _answers(classifier: Classifier | SeveralLabels, texts: Sequence[str], further: Sequence[str]) -> list[Answer]:
    """What is written for each text, in the order of the columns."""
    if isinstance(classifier, SeveralLabels):
        found = classifier.predict(texts)
        return [
            (
                one.labels,
                {name: round(p, 6) for name, p in one.probabilities.items()},
                *(one.further[name] for name in further),
            )
            for one in found
        ]
    predicted = classifier.predict(texts)
    return [(one.label, round(one.probability, 6), *(one.further[name] for name in further)) for one in predicted]


def _tell_about_formulas(classifier: Classifier | SeveralLabels, out: Path | None, reading: Reading) -> None:
    if isinstance(classifier, SeveralLabels):
        return  # its answers are JSON, which nothing runs
    escaped = [name for name in getattr(classifier, "label_names", []) if _field(name, is_answer=True) != name]
    if escaped and out is not None and WRITTEN[out.suffix.lower()]:
        reading.note(
            f"a spreadsheet would run the class names {', '.join(escaped)} as formulas: they get an apostrophe"
        )


def _label(
    classifier: Classifier | SeveralLabels,
    block: Block,
    text_column: str,
    answers: Sequence[str],
    name: str,
    further: Sequence[str],
) -> int:
    """Add the predictions to the rows; returns how many had no text."""
    for number, row in block:
        _refuse_row(row, text_column, answers, f"{name}, row {number}")
    texts = [row[text_column] if isinstance(row[text_column], str) else "" for _, row in block]
    filled = [place for place, text in enumerate(texts) if not is_blank(classifier.prepare(text))]
    found = _answers(classifier, [texts[place] for place in filled], further)
    answered: dict[int, Sequence[object]] = dict(zip(filled, found, strict=True))
    for place, (_, row) in enumerate(block):
        row.update(zip(answers, answered.get(place, [None] * len(answers)), strict=True))
    return len(block) - len(filled)


def _refuse_row(row: Row, text_column: str, answers: Sequence[str], where: str) -> None:
    """Raise ValueError for a row whose text is something else, or that would lose a value to an answer."""
    problem = wrong_text(row[text_column])
    if problem and problem != "no text":
        raise UserError(f"{where}: {text_column!r} must be text, it holds {problem}; repair it")
    if any(answer in row for answer in answers):
        raise UserError(f"{where} has a column {answers[0]!r}, which earlier rows have not; rename it")


@contextlib.contextmanager
def _writer(out: Path | None, columns: Sequence[str], answers: Sequence[str]) -> Iterator[Callable[[list[Row]], None]]:
    """A function that writes a block of rows; the file gets its name when all is written."""
    if out is None:
        yield lambda rows: _write_json(sys.stdout, rows)
        return
    sweep(out.parent)
    with new_file(out) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        delimiter = WRITTEN[out.suffix.lower()]
        yield (
            _delimited_writer(file, columns, answers, delimiter) if delimiter else lambda rows: _write_json(file, rows)
        )


def _delimited_writer(
    file: IO[str], columns: Sequence[str], answers: Sequence[str], delimiter: str
) -> Callable[[list[Row]], None]:
    writer = csv.DictWriter(file, [*columns, *answers], delimiter=delimiter)
    writer.writeheader()

    def write(rows: list[Row]) -> None:
        fields = [{name: _field(value, name in answers) for name, value in row.items()} for row in rows]
        try:
            writer.writerows(fields)
        except ValueError as error:
            raise UserError("a row has fields that the first row has not; write to a .jsonl file instead") from error

    return write


def _field(value: Any, is_answer: bool = False) -> str:
    """A value as CSV holds it; what is nested is written as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    return f"'{text}" if is_answer and text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def _write_json(file: IO[str], rows: list[Row]) -> None:
    file.writelines(json.dumps(_json_row(row), ensure_ascii=False, default=str) + "\n" for row in rows)
    file.flush()


def _json_row(row: Row) -> Row:
    """A row without NaN and infinity, which JSON has not."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }
