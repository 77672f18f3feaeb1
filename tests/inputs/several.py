"""Texts with several labels that cannot be read so: what is handed in, what is raised, what must be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.preview import preview
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.reading.label_lists import LabelLists

LISTS, BAR = LabelLists(), LabelLists(separator="|")
LABELS = ['["a"]', '["b"]', '["a", "b"]', "[]"]


def several(
    *labels: str, lists: LabelLists = LISTS, head: str = "text\tlabel", **changes: Any
) -> Callable[[Path], object]:
    """A TSV file with these labels, read without quotation marks as ``bertft train --dry-run`` reads it."""

    def read(folder: Path) -> object:
        rows = [f"text {number}\t{label}" for number, label in enumerate(labels, start=1)]
        (folder / "news.tsv").write_text("\n".join([head, *rows]) + "\n")
        return preview(TaskSettings(str(folder / "news.tsv"), several=lists, **changes))

    return read


def class_folder(folder: Path) -> object:
    (folder / "a").mkdir()
    (folder / "a" / "1.txt").write_text("text")
    return preview(TaskSettings(str(folder), several=LISTS))


REFUSED: dict[str, tuple[Callable[[Path], object], type[Exception], list[str]]] = {
    "labels in broken JSON": (
        several('["a"', "[]"),
        UserError,
        ["news.tsv, column 'label'", "broken JSON, in row 2", 'Write ["sport", "tech"]'],
    ),
    "one label where lists are meant": (
        several("[]", "sport"),
        UserError,
        ["'sport' instead of a list in row 3", "--label-separator"],
    ),
    "no list of labels": (several("[]", "  "), UserError, ["nothing instead of a list in row 3", "[]"]),
    "a list in a list of labels": (several('[["a"]]', '["b"]'), UserError, ["a list of labels in row 2"]),
    "an empty label in a list": (several('["a", " "]', '["b"]'), UserError, ["an empty label in row 2"]),
    "an empty separator": (
        lambda _: LabelLists(separator=" "),
        UserError,
        ["--label-separator is ' '", "such as '|' or ';'"],
    ),
    "a separator for lists": (
        several("a|b", '["a", "b"]', lists=BAR),
        UserError,
        ["a list that --several-labels would read, in row 3", "Write names with '|' between them"],
    ),
    "a separator and columns": (
        lambda _: LabelLists(separator="|", columns=("a", "b")),
        UserError,
        ["--label-separator and --label-columns", "give one of them"],
    ),
    "one column of labels": (
        lambda _: LabelLists(columns=("a",)),
        UserError,
        ["--label-columns is 'a'", "at least two different columns"],
    ),
    "a column that is not 0 or 1": (
        several("1\t0", "0\tyes", "1\t2", head="text\ta\tb", lists=LabelLists(columns=("a", "b"))),
        UserError,
        ["news.tsv, column 'b'", "'yes' in row 3; '2' in row 4", "Write 1 where the text has the label"],
    ),
    "a column of labels that is not there": (
        several("1\t0", head="text\ta\tb", lists=LabelLists(columns=("a", "c"))),
        UserError,
        ["news.tsv has no column 'c'", "it has text, a, b"],
    ),
    "a column that is 0 in all rows": (
        several("1\t0", "0\t0", head="text\ta\tb", lists=LabelLists(columns=("a", "b"))),
        UserError,
        ["no row has a 1 in 'b'", "leave these columns out"],
    ),
    "the texts among the columns of labels": (
        several("1\t0", head="text\ta\tb", lists=LabelLists(columns=("a", "text"))),
        UserError,
        ["texts and labels are both the column 'text'"],
    ),
    "one label in all the data": (
        several('["a"]', "[]", '["a"]'),
        UserError,
        ["the only label is 'a'", "yes or no as its label", "leave out --several-labels"],
    ),
    "no label in all the data": (several("[]", "[]"), UserError, ["no text has a label", "at least two labels"]),
    "a label of two texts": (
        several(*LABELS * 3, '["b", "c"]', '["c"]'),
        UserError,
        ["too few different texts of 'c' (2)", "at least 3", "--skip-small-classes"],
    ),
    "a label of nearly all texts": (
        several(*['["a", "b"]', '["a"]'] * 5, "[]"),
        UserError,
        ["too few different texts without 'a' (1)", "a label that all texts have asks nothing"],
    ),
    "a folder of classes for several labels": (class_folder, UserError, ["is a folder, in which a text has one label"]),
    "no file for several labels": (
        lambda folder: preview(TaskSettings(str(folder / "none.csv"), several=LISTS)),
        FileNotFoundError,
        ["no data at", "none.csv"],
    ),
    "class weights for several labels": (
        several(*LABELS * 3, class_weights=True),
        UserError,
        ["class_weights are for classes excluding one another"],
    ),
}
