"""Files of arbitrary bytes: every reader gives rows or an error that names the file, never a crash or a hang."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bertft_helpers.data import load_texts
from bertft_helpers.errors import UserError
from bertft_helpers.reading.report import Format
from bertft_helpers.tables import read_table

INPUTS = 400
TRIED: Counter[str] = Counter()
CAREFUL = settings(
    max_examples=INPUTS,
    deadline=timedelta(seconds=2),  # a hang is a failure
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# Bytes that mean something to a reader of tables, mixed with any bytes.
PIECES = [
    b"text,label\n",
    b'"',
    b'""',
    b",",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xa3",
    b"a",
]
JSON_PIECES = [
    b"{",
    b"}",
    b'{"text": "a", "label": "b"}\n',
    b"[" * 500,
    b'"',
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"1e999",
    b":",
]
TABLES = st.lists(st.sampled_from([*PIECES, *JSON_PIECES]) | st.binary(max_size=6), max_size=40).map(b"".join)


Report = Callable[[str, object], None]


def read_bytes(content: bytes, ending: str) -> None:
    """A file with this content gives texts, or is refused in words that name the file."""
    TRIED[ending] += 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{ending}"
        path.write_bytes(content)
        try:
            texts = load_texts(path)
        except ValueError as refusal:
            refused = str(refusal)
        else:
            assert all(isinstance(text, str) for text in texts["text"])
            return
        assert "upload" in refused, refused[:200]


def test_any_bytes_as_csv_are_rows_or_an_error(report: Report) -> None:
    @CAREFUL
    @given(TABLES)
    @example(b"\xef\xbb\xbf")
    @example(b"\n,")
    @example(b"text,label,text\na,b,c\n")
    @example(b"text,label\n" + b'"' * 10_001 + b",b\n")
    def try_it(content: bytes) -> None:
        read_bytes(content, ".csv")

    try_it()
    report("files of arbitrary bytes read as CSV", TRIED[".csv"])


def test_any_bytes_as_json_lines_are_rows_or_an_error(report: Report) -> None:
    @CAREFUL
    @given(TABLES)
    @example(b"[" * 200_000)
    @example(b'{"text": "\\ud800", "label": "b"}\n' * 3)
    def try_it(content: bytes) -> None:
        read_bytes(content, ".jsonl")

    try_it()
    report("files of arbitrary bytes read as JSON lines", TRIED[".jsonl"])


def test_any_bytes_as_parquet_are_rows_or_an_error(report: Report) -> None:
    @CAREFUL
    @given(TABLES.map(lambda inside: b"PAR1" + inside + b"PAR1"))
    def try_it(content: bytes) -> None:
        read_bytes(content, ".parquet")

    try_it()
    report("files of arbitrary bytes read as Parquet", TRIED[".parquet"])


CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
WORD = st.text(CHARACTERS, min_size=1, max_size=12).map(lambda text: f"w{text}")  # so that no row is blank


@settings(max_examples=INPUTS, derandomize=True, deadline=None)
@given(rows=st.lists(st.tuples(st.text(CHARACTERS, min_size=1, max_size=12), WORD), min_size=1, max_size=8))
@pytest.mark.parametrize(("ending", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_what_csv_writes_is_read_back_to_the_last_character(
    rows: list[tuple[str, str]], ending: str, delimiter: str
) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows([("text", "label"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{ending}"
        path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
        table, _ = read_table(path, ("text", "label"), Format(quoting="csv"))
    assert list(table.itertuples(index=False, name=None)) == rows


def test_a_folder_named_like_a_table_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UserError, match="folder"):
        read_table(tmp_path / "a.csv")
