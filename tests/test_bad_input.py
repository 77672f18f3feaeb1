"""Everything people hand in that cannot work is refused with file, rows, values, what is allowed and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import BucketBatchSampler, EncodedTexts, encode_dataset, make_loader, truncate
from bertft_helpers.config import TrainConfig
from bertft_helpers.data import load_texts, read_texts, split
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.models import build_classifier
from bertft_helpers.own_texts.hub import hub_name
from bertft_helpers.pretrained import find_checkpoint, load_tokenizer
from bertft_helpers.reading import containers
from bertft_helpers.reading.labels import name_labels
from bertft_helpers.reading.report import Format
from bertft_helpers.tables import read_table
from bertft_helpers.training import fit
from bertft_helpers.validation import check_examples, check_not_blank, check_texts

NAN = float("nan")
TWO_ROWS = b"text,label\na,x\nb,y\n"


def tiny_model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=12, num_labels=3, **sizes))


def texts(*values: Any) -> Callable[[Path], object]:
    return lambda _: check_texts(values, "news.csv")


def blanks(*values: str) -> Callable[[Path], object]:
    return lambda _: check_not_blank(values, "news.csv")


def labels(*values: Any) -> Callable[[Path], object]:
    return lambda _: name_labels(values, "news.csv")


def examples(ids: list[list[int]], numbers: list[Any]) -> Callable[[Path], object]:
    return lambda _: check_examples(EncodedTexts(ids, numbers), tiny_model())


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


def packed(names: list[str], password_mark: bool = False) -> Callable[[Path], object]:
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


def run_training(ids: list[list[int]], numbers: list[int]) -> Callable[[Path], object]:
    def train(_: Path) -> object:
        model, good = tiny_model(), EncodedTexts([[2, 5, 3]] * 4, [0, 1, 2, 0])
        optimizer = torch.optim.AdamW(model.parameters())
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
        bad_loader = make_loader(EncodedTexts(ids, numbers), 2, seed=0)
        return fit(model, bad_loader, make_loader(good, 2), optimizer, schedule, TrainConfig(epochs=1))

    return train


GOOD = [[2, 5, 3], [2, 6, 7, 3]]


CASES: dict[str, tuple[Callable[[Path], object], type[Exception], list[str]]] = {
    # texts
    "a missing text": (texts("a", None), ValueError, ["news.csv", "no text in row 2", "fill or remove"]),
    "NaN as a text": (texts(NAN, "a"), ValueError, ["no text in row 1"]),
    "a number as a text": (texts("a", 3.5), ValueError, ["a float instead of text in row 2"]),
    "bytes as a text": (texts(b"a"), ValueError, ["bytes instead of text", "row 1"]),
    "an empty text": (blanks("a", ""), ValueError, ["an empty text in row 2"]),
    "only white space": (blanks(" \t\n", "a"), ValueError, ["an empty text in row 1"]),
    "many bad texts": (blanks(*[""] * 9), ValueError, ["rows 1, 2, 3, 4, 5 and 4 more (9 in all)"]),
    "no texts": (texts(), ValueError, ["news.csv has no texts"]),
    # labels
    "a missing label": (labels("a", None, "b"), ValueError, ["no label in row 2", "names or numbers"]),
    "NaN as a label": (labels(0, NAN), ValueError, ["no label in row 2"]),
    "an empty label": (labels("a", " "), ValueError, ["an empty label in row 2"]),
    "a label that is a list": (labels(0, [1]), ValueError, ["the label [1] of type list in row 2"]),
    "a label of invisible characters": (labels("a", "\u200b"), ValueError, ["an empty label in row 2"]),
    "half a character in a label": (labels("a", "\udc00"), ValueError, ["half a character", "row 2"]),
    "a label that is an object": (labels({"a": 1}), ValueError, ["type dict in row 1"]),
    "texts and labels in one column": (
        loaded(TWO_ROWS, label_column="text"),
        ValueError,
        ["both the column 'text'", "--label"],
    ),
    # encoded examples and a model
    "a label out of range": (examples(GOOD, [0, 3]), ValueError, ["out of range in row 1", "such as 3", "0 to 2"]),
    "a negative class": (examples(GOOD, [-1, 0]), ValueError, ["out of range in row 0", "such as -1"]),
    "a fractional class": (examples(GOOD, [0, 0.5]), ValueError, ["fractional labels in row 1", "such as 0.5"]),
    "all labels ignored": (examples(GOOD, [-100, -100]), ValueError, ["all 2 labels are ignored", "NaN"]),
    "a foreign tokenizer": (examples([[2, 50, 3]], [0]), ValueError, ["row 0", "vocabulary of 50", "one folder"]),
    "a text over the limit": (
        examples([[2] * 13], [0]),
        ValueError,
        ["row 0", "12 positions", "13 tokens", "max_length"],
    ),
    "a mask without a token": (examples([[], [2, 3]], [0, 1]), ValueError, ["row 0", "no token at all"]),
    "no examples": (examples([], []), ValueError, ["no examples"]),
    "texts and labels of two lengths": (lambda _: EncodedTexts(GOOD, [0]), ValueError, ["2 texts but 1 labels"]),
    "training on labels out of range": (run_training(GOOD, [0, 7]), ValueError, ["out of range in row 1", "0 to 2"]),
    "training on ignored labels": (run_training(GOOD, [-100] * 2), ValueError, ["all 2 labels are ignored"]),
    "training with a foreign tokenizer": (run_training([[2, 99, 3]] * 2, [0, 1]), ValueError, ["vocabulary of 50"]),
    "evaluating ignored labels": (
        lambda _: evaluate(tiny_model(), make_loader(EncodedTexts(GOOD, [-100, -100]), 2)),
        ValueError,
        ["no label to evaluate", "-100"],
    ),
    "a loader of nothing": (lambda _: BucketBatchSampler([], 2, seed=0), ValueError, ["for 0 texts", "at least 1"]),
    "batches of nothing": (lambda _: BucketBatchSampler([3], 0, seed=0), ValueError, ["batch_size is 0"]),
    "no room for text": (lambda _: truncate([2, 5, 6, 3], 2), ValueError, ["max_length is 2", "at least 3"]),
    "one label name": (
        lambda _: build_classifier("bundled", ["tech"], seed=0),
        ValueError,
        ["['tech']", "at least two different names"],
    ),
    "shares that leave nothing": (
        lambda _: split(load_texts("news"), seed=0, validation=0.5, test=0.5),
        ValueError,
        ["validation=0.5", "test=0.5", "leave a share"],
    ),
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
    "half a character": (
        texts("a", "\ud800"),
        ValueError,
        ["half a character", "row 2", "export the texts again"],
    ),
    "a label without end": (labels(0, float("inf")), ValueError, ["the label inf", "row 2"]),
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


def excel(rows: list[list[object]], sheets: int = 1) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(row)
    for number in range(1, sheets):
        book.create_sheet(f"more {number}").append(["other"])
    book.save(buffer := io.BytesIO())
    return buffer.getvalue()


def parquet(**columns: list[object]) -> bytes:
    pd.DataFrame(columns).to_parquet(buffer := io.BytesIO())
    return buffer.getvalue()


def numbered_parquet(texts: list[str], labels: list[int], names: list[str]) -> bytes:
    """A file as ``datasets.Dataset.to_parquet`` writes it: numbers in the column, their names beside the table."""
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    Dataset.from_dict({"text": texts, "label": labels}, features=features).to_parquet(buffer := io.BytesIO())
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


TWO = [("a", "x"), ("b", "y")]
# What people have and what can be read: files by name, what was known of them, the rows, parts of what is said.
READ: dict[str, tuple[dict[str, bytes], dict[str, Any], list[tuple[str, str]], list[str]]] = {
    # encodings
    "UTF-8 with a mark": ({"n.csv": b"\xef\xbb\xbf" + TWO_ROWS}, {}, TWO, ["UTF-8"]),
    "UTF-16": ({"n.csv": "text,label\nä,x\nb,y\n".encode("utf-16")}, {}, [("ä", "x"), ("b", "y")], ["UTF-16"]),
    "UTF-16 the other way round": (
        {"n.tsv": b"\xfe\xff" + "text\tlabel\na\tx\nb\ty".encode("utf-16-be")},
        {},
        TWO,
        ["UTF-16"],
    ),
    "UTF-32": (
        {"n.jsonl": '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}'.encode("utf-32")},
        {},
        TWO,
        ["UTF-32"],
    ),
    "UTF-16 without a mark, named": (
        {"n.csv": TWO_ROWS.decode().encode("utf-16-le")},
        {"encoding": "utf-16-le"},
        TWO,
        ["UTF-16-LE"],
    ),
    "one Windows-1252 row in UTF-8": (
        {"n.csv": "text,label\nfür,x\n".encode() + b"\xa35,y\n" + "süß,x\n".encode()},
        {},
        [("für", "x"), ("£5", "y"), ("süß", "x")],
        ["row 3 of n.csv is not valid UTF-8", "UTF-8 with Windows-1252 in row 3"],
    ),
    "all rows in Windows-1252": (
        {"n.csv": "text,label\nfür,x\n“süß”,y\n".encode("cp1252")},
        {},
        [("für", "x"), ("“süß”", "y")],
        ["rows 2 and 3 of n.csv are not valid UTF-8"],
    ),
    "Cyrillic, named": (
        {"n.csv": "text,label\nдень,x\n".encode("cp1251")},
        {"encoding": "cp1251"},
        [("день", "x")],
        ["CP1251"],
    ),
    "class folders in several encodings": (
        {"x/1.txt": "ä".encode("utf-16"), "x/2.txt": b"\xef\xbb\xbfb", "y/1.txt": b"\xa35"},
        {},
        [("ä", "x"), ("b", "x"), ("£5", "y")],
        ["UTF-16 (1 files)", "not all lines of y/1 are UTF-8"],
    ),
    # delimiters, headers, rows
    "semicolons": ({"n.csv": b"text;label\na, or c;x\nb;y\n"}, {}, [("a, or c", "x"), ("b", "y")], ["semicolons"]),
    "tabs in a .csv": ({"n.csv": b"text\tlabel\na, c\tx\nb\ty\n"}, {}, [("a, c", "x"), ("b", "y")], ["tabs"]),
    "vertical bars": ({"n.csv": b"text|label\na|x\nb|y\n"}, {}, TWO, ["vertical bars"]),
    "commas in a .tsv": ({"n.tsv": TWO_ROWS}, {}, TWO, ["commas"]),
    "Excel's sep line": ({"n.csv": b"sep=;\r\ntext;label\r\na;x\r\nb;y\r\n"}, {}, TWO, ["names its delimiter", "';'"]),
    "a delimiter of one's own": ({"n.csv": b"text#label\na#x\nb#y\n"}, {"delimiter": "#"}, TWO, ["parted by '#'"]),
    "no header": ({"n.csv": b"a,x\nb,y\n"}, {"header": False, "columns": ("1", "2")}, TWO, ["2 rows"]),
    "marks that are characters": (
        {"n.tsv": b'text\tlabel\n"a\tx\nb"\ty\n'},
        {"quoting": "none"},
        [('"a', "x"), ('b"', "y")],
        ["2 rows"],
    ),
    "fields over several lines that are meant": (
        {"n.csv": b'text,label\n"a,x\nb",y\n'},
        {"quoting": "csv"},
        [("a,x\nb", "y")],
        ["1 over several lines"],
    ),
    "running text over several lines": (
        {"n.csv": b'text,label\n"Dear all, hello\n1,000 thanks, and bye",x\n'},
        {},
        [("Dear all, hello\n1,000 thanks, and bye", "x")],
        ["1 over several lines"],
    ),
    "a quoted quotation mark": ({"n.csv": b'text,label\n"a ""b"", c",x\n'}, {}, [('a "b", c', "x")], ["1 rows"]),
    "old Mac line ends": ({"n.csv": b"text,label\ra,x\rb,y\r"}, {}, TWO, ["2 rows"]),
    "a line separator within a text": (
        {"n.csv": "text,label\na\u2028b,x\n".encode()},
        {},
        [("a\u2028b", "x")],
        ["1 rows"],
    ),
    "blank rows": ({"n.csv": b"text,label\na,x\n\n,\nb,y\n\n"}, {}, TWO, ["2 rows and 3 blank ones"]),
    "unused columns": ({"n.csv": b"text,label,,\na,x,,\nb,y,,\n"}, {}, TWO, ["2 rows"]),
    "empty fields beyond the header": (
        {"n.csv": b"text,label\na,x,,\nb,y\n"},
        {},
        TWO,
        ["beyond its header's 2 in row 2"],
    ),
    "a no-break space in a column's name": (
        {"n.csv": "text\u00a0, label\na,x\nb,y\n".encode()},
        {},
        TWO,
        ["the names of the columns 'text', 'label'"],
    ),
    "a second mark": ({"n.csv": b"\xef\xbb\xbf" * 2 + TWO_ROWS}, {}, TWO, ["the columns 'text'"]),
    "two other columns of one name": (
        {"n.csv": b"text,n,n,label\na,1,2,x\nb,1,2,y\n"},
        {},
        TWO,
        ["several columns named 'n'"],
    ),
    "the letters NA": ({"n.csv": b"text,label\nNA,NA\nb,y\n"}, {}, [("NA", "NA"), ("b", "y")], []),
    # kinds of file
    "an ending in capitals": ({"N.CSV": TWO_ROWS}, {}, TWO, []),
    "a .tab file": ({"n.tab": b"text\tlabel\na\tx\nb\ty\n"}, {}, TWO, ["tabs"]),
    "a JSON array": (
        {"n.json": b'[{"text": "a", "label": "x"},\n {"text": "b", "label": "y"}]'},
        {},
        TWO,
        ["a JSON array"],
    ),
    "an array within an object": (
        {"n.json": b'{"data": [{"text": "a", "label": "x"}]}'},
        {},
        TWO[:1],
        ["a JSON array"],
    ),
    "JSON lines called .json": (
        {"n.json": b'{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}'},
        {},
        TWO,
        ["JSON lines"],
    ),
    ".ndjson with blank lines": ({"n.ndjson": b'\n{"text": "a", "label": "x"}\n\n'}, {}, TWO[:1], ["2 blank ones"]),
    ".csv.gz": ({"n.csv.gz": gzip.compress(TWO_ROWS)}, {}, TWO, []),
    ".tsv.bz2": ({"n.TSV.bz2": bz2.compress(TWO_ROWS)}, {}, TWO, []),
    ".zip beside system files": ({"n.zip": zipped(folder__csv=TWO_ROWS, **{"__MACOSX/x__csv": b"no"})}, {}, TWO, []),
    "Excel": (
        {"n.xlsx": excel([["text", "label", None], ["a", "x"], [None], ["b", "y"]])},
        {},
        TWO,
        ["Excel", "1 blank"],
    ),
    "Excel with more sheets": (
        {"n.xlsx": excel([["text", "label"], ["a", 1.0]], 3)},
        {},
        [("a", "1")],
        ["has 3 sheets"],
    ),
    "a folder of Parquet files": (
        {"p/1.parquet": parquet(text=["a"], label=["x"]), "p/2.parquet": parquet(text=["b"], label=["y"])},
        {"source": "p"},
        TWO,
        ["2 Parquet files"],
    ),
    "a folder with what systems leave": (
        {
            "x/1.txt": b"a",
            "y/1.TXT": b"b",
            ".ipynb_checkpoints/1.txt": b"no",
            "x/.DS_Store": b"",
            "x/Thumbs.db": b"",
            "y/n.md": b"",
        },
        {},
        TWO,
        ["3 hidden or system entries left out", "1 files that are no .txt left out"],
    ),
    "folders within class folders": (
        {"x/1.txt": b"a", "y/1.txt": b"b", "y/old/2.txt": b"no"},
        {},
        TWO,
        ["1 folders within"],
    ),
    # labels
    "white space around labels": (
        {"n.csv": b"text,label\na,x\nb,x \n"},
        {},
        [("a", "x"), ("b", "x")],
        ["repaired", "row 3"],
    ),
    "labels with hidden characters": (
        {"n.csv": "text,label\na,x\u200b\nb,\ufeffx\n".encode()},
        {},
        [("a", "x"), ("b", "x")],
        ["labels repaired", "rows 2 and 3"],
    ),
    "one label in two Unicode forms": (
        {"n.csv": "text,label\na,café\nb,cafe\u0301\n".encode()},
        {},
        [("a", "café"), ("b", "café")],
        ["labels repaired", "row 3"],
    ),
    "whole numbers as floats in JSON": (
        {"n.jsonl": b'{"text": "a", "label": 10.0}\n{"text": "b", "label": 9}\n{"text": "c", "label": "9"}'},
        {},
        [("a", "10"), ("b", "9"), ("c", "9")],
        [],
    ),
    "whole numbers as floats in CSV": (
        {"n.csv": b"text,label\na,1.0\nb,1\n"},
        {},
        [("a", "1"), ("b", "1")],
        ["instead of 1.0 in row 2"],
    ),
    "whole numbers as floats in Parquet": (
        {"n.parquet": parquet(text=["a", "b"], label=[2.0, 0.0])},
        {},
        [("a", "2"), ("b", "0")],
        [],
    ),
    "leading zeros": (
        {"n.csv": b"text,label\na,07\nb,7\n"},
        {},
        [("a", "07"), ("b", "7")],
        ["'7' (1 rows) and '07' (1 rows) differ only"],
    ),
    "labels that look alike": (
        {"n.csv": b"text,label\na,Sci-Fi\nb,sci fi\n"},
        {},
        [("a", "Sci-Fi"), ("b", "sci fi")],
        ["differ only in case"],
    ),
    "minus one in JSON": (
        {"n.jsonl": b'{"text": "a", "label": -1}\n{"text": "b", "label": 1}'},
        {},
        [("a", "-1"), ("b", "1")],
        ["-1 is a class"],
    ),
    "minus one in CSV": ({"n.csv": b"text,label\na,-1\nb,1\n"}, {}, [("a", "-1"), ("b", "1")], ["-1 is a class"]),
    "truth values in JSON": (
        {"n.jsonl": b'{"text": "a", "label": true}\n{"text": "b", "label": false}'},
        {},
        [("a", "True"), ("b", "False")],
        [],
    ),
    "names of classes that the library datasets keeps beside their numbers": (
        {"n.parquet": numbered_parquet(["a", "b"], [1, 0], ["tools", "birds"])},
        {},
        [("a", "birds"), ("b", "tools")],
        ["'label' holds numbers, read as the names"],
    ),
    "labels that differ in a full stop": (
        {"n.csv": b"text,label\na,birds\nb,birds.\n"},
        {},
        [("a", "birds"), ("b", "birds.")],
        ["'birds' (1 rows) and 'birds.' (1 rows) differ only"],
    ),
    "truth values in Parquet": (
        {"n.parquet": parquet(text=["a", "b"], label=[True, False])},
        {},
        [("a", "True"), ("b", "False")],
        [],
    ),
    "numbers among names": (
        {"n.csv": b"text,label\na,1\nb,tech\n"},
        {},
        [("a", "1"), ("b", "tech")],
        ["numbers in some rows and names ('tech')"],
    ),
    "fractions": (
        {"n.jsonl": b'{"text": "a", "label": 1.5}\n{"text": "b", "label": 1}'},
        {},
        [("a", "1.5"), ("b", "1")],
        ["fractional"],
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_people_have_is_read_as_it_is_meant_and_said(name: str, tmp_path: Path) -> None:
    files, known, rows, said = READ[name]
    for place, content in files.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(content)
    known = dict(known)
    source = known.pop("source", next(iter(files)) if len(files) == 1 else ".")
    columns = known.pop("columns", ("text", "label"))
    dataset, reading = read_texts((tmp_path / source).resolve(), *columns, Format(**known))
    names = dataset.features["label"].names
    assert [(row["text"], names[row["label"]]) for row in dataset] == rows
    told = " ".join([reading.summary(), *reading.notes])
    assert [part for part in said if part not in told] == [], told
    assert reading.rows == len(rows)


def test_every_kind_of_file_that_is_read_is_counted(report: Callable[[str, object], None]) -> None:
    report("kinds of awkward input read right, and said", len(READ))


def test_a_pipe_in_a_class_folder_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(name)
    os.mkfifo(tmp_path / "x" / "2.txt")
    _, reading = read_texts(tmp_path)
    assert any("1 pipes, devices or broken links left out" in note for note in reading.notes)


def test_load_texts_warns_of_what_it_had_to_guess(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_bytes(b"text,label\n\xa35,x\nb,y\n")
    with pytest.warns(UserWarning, match=r"row 2 of n\.csv is not valid UTF-8"):
        load_texts(tmp_path / "n.csv")


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_words_that_help(name: str, tmp_path: Path) -> None:
    provoke, kind, parts = CASES[name]
    with pytest.raises(kind) as refusal:
        provoke(tmp_path)
    message = str(refusal.value)
    assert [part for part in parts if part not in message] == [], message


def test_there_are_at_least_forty_cases(report: Callable[[str, object], None]) -> None:
    assert len(CASES) >= 40
    report("kinds of bad input refused in words that help", len(CASES))


def test_a_parquet_file_is_judged_by_the_size_that_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pyarrow.table({"text": ["x" * 1_000] * 4_000})
    pyarrow.parquet.write_table(rows, tmp_path / "news.parquet", compression="zstd", use_dictionary=False)
    assert len(read_table(tmp_path / "news.parquet", ["text"])[0]) == 4_000
    monkeypatch.setattr(containers, "MOST_UNPACKED", 2**20)  # a real one would need a gigabyte
    with pytest.raises(UserError, match=r"news\.parquet of .* bytes unpacks to 4,0.* bytes or more"):
        read_table(tmp_path / "news.parquet", ["text"])


def test_a_number_of_a_class_without_a_name_is_refused(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["a", "b"], "label": [0, 2]}).replace_schema_metadata(
            pyarrow.parquet.read_schema(io.BytesIO(numbered_parquet(["a"], [0], ["x", "y"]))).metadata
        ),
        tmp_path / "news.parquet",
    )
    with pytest.raises(UserError, match="'label' holds 2, but has names for 0 to 1"):
        load_texts(tmp_path / "news.parquet")


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "news.csv").write_text("text,label\na,b\n")

    def refuse(*_: object) -> None:
        raise PermissionError  # root may read everything, so the refusal itself is simulated

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"news\.csv may not be read"):
        read_table(tmp_path / "news.csv")


def test_encode_dataset_cuts_what_is_too_long() -> None:
    news = load_texts("news").select(range(5))
    assert max(encode_dataset(news, load_tokenizer(), max_length=12).lengths) == 12
