"""Files and folders that cannot be read: who is given them, what is raised, what must be said."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from bertft_helpers.data import load_texts, read_texts
from bertft_helpers.errors import UserError
from bertft_helpers.pretrained import find_checkpoint
from bertft_helpers.reading.places import hub_name
from bertft_helpers.reading.report import Format
from bertft_helpers.tables import read_table

TWO_ROWS = b"text,label\na,x\nb,y\n"


def table(
    content: bytes, name: str = "news.csv", columns: tuple[str, ...] = (), **known: Any
) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        (folder / name).write_bytes(content)
        return read_table(folder / name, columns, Format(**known))

    return read


def loaded(content: bytes, name: str = "news.csv", label_column: str = "label") -> Callable[[Path], object]:
    """The file as texts and labels, not only as a table."""

    def load(folder: Path) -> object:
        (folder / name).write_bytes(content)
        return load_texts(folder / name, "text", label_column)

    return load


def folder_of(*names: str) -> Callable[[Path], object]:
    """A folder with these text files."""

    def load(folder: Path) -> object:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"text of {name}")
        return load_texts(folder)

    return load


def packed(names: list[str]) -> Callable[[Path], object]:
    def load(folder: Path) -> object:
        with zipfile.ZipFile(folder / "news.zip", "w") as archive:
            for name in names:
                archive.writestr(name, TWO_ROWS)
        return load_texts(folder / "news.zip")

    return load


def parquet_bomb(rows: int, length: int) -> Callable[[Path], object]:
    """A small file that unpacks to ``rows`` times ``length`` characters."""

    def load(folder: Path) -> object:
        column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, "int8"), ["x" * length])
        pyarrow.parquet.write_table(pyarrow.table({"text": column, "label": column}), folder / "news.parquet")
        return load_texts(folder / "news.parquet")

    return load


def a_folder_named_like_a_table(folder: Path) -> object:
    (folder / "news.csv").mkdir()
    return read_table(folder / "news.csv")


REFUSED: dict[str, tuple[Callable[[Path], object], type[Exception], list[str]]] = {
    # files
    "no such file": (lambda p: read_table(p / "x.csv"), FileNotFoundError, ["x.csv", "check the path"]),
    "a folder": (a_folder_named_like_a_table, UserError, ["news.csv is a folder"]),
    "an unknown ending": (table(b"a", "news.docx"), ValueError, ["news.docx", "'.docx'", ".csv, .tsv"]),
    "an empty file": (table(b""), ValueError, ["news.csv is empty"]),
    "a header alone": (table(b"text,label\n"), ValueError, ["has a header but no rows"]),
    "a column that is not there": (
        table(b"text,label\na,b\n", columns=("body",)),
        ValueError,
        ["no column 'body'", "it has text, label"],
    ),
    "the wrong delimiter": (
        table(b"text;label\na;b\n", columns=("text", "label"), delimiter=","),
        ValueError,
        ["no column 'text', 'label'", "it has text;label", "--no-header"],
    ),
    "rows with too many fields": (
        table(b"text,label\na,b\nc,d,e\nf\n"),
        ValueError,
        ["header's 2", "rows 3 and 4", "quotation marks"],
    ),
    "an open quotation mark": (table(b'text,label\n"a,b\n'), ValueError, ["cannot be read", "quotation marks"]),
    "two columns of one name": (
        table(b"text,label,text\na,b,c\n", columns=("text",)),
        ValueError,
        ["several columns named 'text'", "its own name"],
    ),
    "NUL bytes": (table(b"text,label\na\0,b\n"), ValueError, ["NUL bytes in row 2", "export it again"]),
    "UTF-16 without its mark": (
        table("text,label\na,b\n".encode("utf-16-le")),
        ValueError,
        ["NUL bytes in rows 1", "utf-16-le"],
    ),
    "UTF-16 that is cut off": (
        table("text,label\na,b\n".encode("utf-16")[:-1]),
        ValueError,
        ["is not UTF-16 text near row", "--encoding"],
    ),
    "Cyrillic in Windows-1251": (
        table("text,label\nдобрый день и вечер,b\n".encode("cp1251")),
        ValueError,
        ["not UTF-8 in row 2", "Western", "--encoding cp1251"],
    ),
    "Japanese in Shift-JIS": (
        table("text,label\n本日は晴天なり,b\n".encode("shift_jis")),
        ValueError,
        ["not UTF-8 in row 2", "shift_jis"],
    ),
    "bytes of no encoding": (
        table(b"text,label\na,b\nprice \x81 of bread,b\n"),
        ValueError,
        ["neither UTF-8 nor Windows-1252 in row 3"],
    ),
    "an encoding that does not exist": (table(TWO_ROWS, encoding="utf-99"), ValueError, ["'utf-99'", "cp1252"]),
    "an encoding that does not fit": (
        table("text,label\nfür,b\n".encode("cp1252"), encoding="utf-8"),
        ValueError,
        ["is not UTF-8 text near row 2"],
    ),
    # quotation marks
    "a lone quotation mark and its partner lines later": (
        table(b'text,label\n"the owl,birds\nthe fig,fruit\na saw of 5",tools\nx,y\n'),
        ValueError,
        ["row 2 (lines 2 to 4)", "--quoting none", "--quoting csv"],
    ),
    "a lone quotation mark in a TSV": (
        table(b'text\tlabel\nfine\tx\n"the owl, a bird\tbirds\na pipe of 5"\ttools\n', "news.tsv"),
        ValueError,
        ["row 3 (lines 3 to 4)"],
    ),
    "two lone quotation marks": (
        table(b'text;label\n"a;x\nb";y\nc;x\n"d;x\ne";y\n', columns=("text",)),
        ValueError,
        ["row 2 (lines 2 to 3), row 5 (lines 5 to 6)"],
    ),
    "a lone quotation mark in a table with spaces": (
        table(b'text, label\n"the owl, birds\na saw of 5", tools\n', columns=("text", "label")),
        ValueError,
        ["row 2 (lines 2 to 3)"],
    ),
    "a lone quotation mark before a word": (
        table(b'text,label\n"the owl,x\nhe said "yes",y\n'),
        ValueError,
        ["cannot be read at row 2", "--quoting none"],
    ),
    "a quoting that does not exist": (table(TWO_ROWS, quoting="all"), ValueError, ["'all'", "auto, csv, none"]),
    "a delimiter of two characters": (table(TWO_ROWS, delimiter="||"), ValueError, ["'||'", "one character"]),
    "another delimiter than is known": (
        table(b"text^label\na^b\n", columns=("text", "label")),
        ValueError,
        ["it has text^label", "--delimiter"],
    ),
    "a delimiter for JSON": (
        table(b'[{"text": "a"}]', "news.json", delimiter=";"),
        ValueError,
        ["news.json has no use for --delimiter (for CSV and TSV)", "leave it out"],
    ),
    "quoting and an encoding for Parquet": (
        table(b"", "news.parquet", quoting="none", encoding="utf-8"),
        ValueError,
        ["--encoding (for files of text) and --quoting (for CSV and TSV)"],
    ),
    "no header for class folders": (
        lambda folder: folder_of("x/1.txt", "y/1.txt")(folder) and read_texts(folder, how=Format(header=False)),
        ValueError,
        ["no use for --no-header (for CSV, TSV and Excel)"],
    ),
    # headers
    "a table without a header": (
        table(b"the owl,birds\nthe fig,fruit\n", columns=("text", "label")),
        ValueError,
        ["no column 'text', 'label'", "it has the owl, birds", "--no-header"],
    ),
    "a column in another case": (
        table(b"Text,Label\na,b\n", columns=("text",)),
        ValueError,
        ["no column 'text'", "Did you mean 'Text'?"],
    ),
    "a wanted column twice, differing in a hidden space": (
        table("text,text\u00a0,label\na,b,c\n".encode(), columns=("text",)),
        ValueError,
        ["several columns named 'text'"],
    ),
    "a header alone in JSON": (table(b"[]", "news.json"), ValueError, ["no JSON object", "news.json"]),
    # folders
    "the parts in place of classes": (folder_of("train/a.txt", "test/b.txt"), ValueError, ["the parts test, train"]),
    "parts above classes": (
        folder_of("train/a/1.txt", "test/a/1.txt"),
        ValueError,
        ["the parts test, train", "give one of these folders"],
    ),
    "classes one level deeper": (folder_of("all/a/1.txt", "all/b/1.txt"), ValueError, ["one level deeper"]),
    "only hidden folders": (folder_of(".git/a.txt", "__MACOSX/b.txt"), ValueError, ["no .txt files"]),
    # packed files
    "a zip of two tables": (packed(["a.csv", "b.csv"]), ValueError, ["news.zip", "exactly one table", "a.csv, b.csv"]),
    "a zip without a table": (packed(["a.docx"]), ValueError, ["exactly one table, it holds a.docx"]),
    "a gzip file that is cut off": (
        table(gzip.compress(TWO_ROWS * 50)[:-12], "news.csv.gz"),
        ValueError,
        ["news.csv.gz is damaged"],
    ),
    "a gzip file that is none": (table(b"text,label", "news.csv.gz"), ValueError, ["news.csv.gz is damaged"]),
    "gzip of something else": (table(gzip.compress(b"a"), "news.docx.gz"), ValueError, ["the ending '.docx'"]),
    "an Excel file that is none": (table(b"PK no", "news.xlsx"), ValueError, ["is not an Excel file"]),
    "a Parquet file of a hundred million rows": (
        parquet_bomb(100_000_000, 10),
        ValueError,
        ["says that it has 100,000,000 rows"],
    ),
    # JSON
    "a JSON array that is cut off": (
        table(b'[{"text": "a"},\n{"te', "news.json"),
        ValueError,
        ["news.json", "no JSON object"],
    ),
    "a name twice in one object": (
        table(b'{"text": "a"}\n{"text": "b", "text": "c"}\n', "news.ndjson"),
        ValueError,
        ["a name twice in one object in row 2"],
    ),
    "half a character in JSON": (
        table(b'{"text": "a"}\n\n{"text": "\\ud83d"}\n', "news.jsonl"),
        ValueError,
        ["half a character", "row 3"],
    ),
    "several labels for a text in JSON": (
        loaded(b'{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": "x"}\n', "news.jsonl"),
        ValueError,
        ["'label': a list of labels in row 1", "A text has one label here", "train for several with --several-labels"],
    ),
    "an object without the text": (
        table(b'{"text": "a"}\n{"body": "b"}\n', "news.jsonl", columns=("text",)),
        ValueError,
        ["no 'text' in row 2"],
    ),
    "lines that are no JSON": (
        table(b'{"text": "a"}\nnot json\n[1]\n', "news.jsonl"),
        ValueError,
        ["no JSON object in rows 2 and 3"],
    ),
    "a Parquet file that is none": (table(b"PAR1 no", "news.parquet"), ValueError, ["is not a Parquet file"]),
    "a name on the Hub that is none": (lambda _: hub_name("hub:a/b/c"), ValueError, ["hub:owner/name"]),
    "a source that is not there": (lambda _: load_texts("nowhere"), FileNotFoundError, ["'nowhere'", "folder"]),
    "a checkpoint that is not there": (lambda _: find_checkpoint("nope"), FileNotFoundError, ["'nope'", "bundled"]),
}
