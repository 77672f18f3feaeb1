"""Files as people have them that can be read: what was known of them, their rows, what is said about them."""

from __future__ import annotations

import bz2
import datetime
import gzip
from typing import Any

import numpy as np
from inputs.contents import excel, numbered_parquet, parquet, zipped
from inputs.files import TWO_ROWS

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
    "UTF-8 that was read as Windows-1252 before": (
        {"n.csv": "text,label\na,x\nfÃ¼r dich,y\n5 Â£,y\n".encode()},
        {},
        [("a", "x"), ("fÃ¼r dich", "y"), ("5 Â£", "y")],
        ["read as another encoding before: 2, the first 'fÃ¼r dich' in row 3", "export them again"],
    ),
    "UTF-8 that was read as Latin-1 before": (
        {"x/1.txt": "donâ\x80\x99t".encode(), "y/1.txt": b"b"},
        {},
        [("donâ\x80\x99t", "x"), ("b", "y")],
        ["read as another encoding before: 1, the first", "in x/1"],
    ),
    "letters that were lost before": (
        {"n.jsonl": '{"text": "gr\ufffdn", "label": "x"}\n{"text": "b", "label": "y"}'.encode()},
        {},
        [("gr\ufffdn", "x"), ("b", "y")],
        ["texts with U+FFFD in place of letters that were lost before: 1, the first in row 1"],
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
        {"n.xlsx": excel([["text", "label"], ["a", 1.0]], [["other"]], [["other"]])},
        {},
        [("a", "1")],
        ["has 3 sheets; only 'Sheet' is read"],
    ),
    "Excel with the table on the second sheet, below a title": (
        {"n.xlsx": excel([["notes"]], [["News", None], [None], ["text ", "label"], ["a", "x"], ["b", "y"]])},
        {},
        TWO,
        ["only 'more 1' is read", "the header is in row 3", "the columns 'text' had hidden characters"],
    ),
    "JSON by columns": ({"n.json": b'{"text": ["a", "b"],\n "label": ["x", "y"]}'}, {}, TWO, ["JSON by columns"]),
    "JSON as pandas writes it": (
        {"n.json": b'{"text":{"0":"a","1":"b"},"label":{"0":"x","1":"y"}}'},
        {},
        TWO,
        ["JSON by columns"],
    ),
    "dates as labels in CSV": ({"n.csv": b"text,label\na,2024-01-01\n"}, {}, [("a", "2024-01-01")], []),
    "dates as labels in Excel": (
        {"n.xlsx": excel([["text", "label"], ["a", datetime.date(2024, 1, 1)]])},
        {},
        [("a", "2024-01-01")],
        [],
    ),
    "dates as labels in Parquet": (
        {"n.parquet": parquet(text=["a"], label=[datetime.date(2024, 1, 1)])},
        {},
        [("a", "2024-01-01")],
        [],
    ),
    "times as labels in Parquet": (
        {"n.parquet": parquet(text=["a"], label=[datetime.datetime(2024, 1, 1, 9, 30)])},
        {},
        [("a", "2024-01-01T09:30:00")],
        [],
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
    "numbers of single precision": (
        {"n.parquet": parquet(text=["a", "b", "c"], label=np.array([1.1, 2, 1.1], dtype="float32"))},
        {},
        [("a", "1.1"), ("b", "2"), ("c", "1.1")],
        ["fractional"],
    ),
    "several labels in one field": (
        {"n.csv": b"text,label\na,x\nb,x|y\nc,y\n"},
        {},
        [("a", "x"), ("b", "x|y"), ("c", "y")],
        ["look like several labels in one field: 1 of 3, such as 'x|y'"],
    ),
    "leading zeros": (
        {"n.csv": b"text,label\na,07\nb,7\nc,+7\n"},
        {},
        [("a", "07"), ("b", "7"), ("c", "+7")],
        ["'7' (1 rows) and '+7' (1 rows) and '07' (1 rows) differ only"],
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
