"""Lesson 07: reading bytes, folders and tables."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from graduation import Case, Functions

ROWS = {"body": ["Price £5, café", "Shares\nfall", "Goal!"], "desk": ["tech", "business", "sports"]}


def columns(dataset: Dataset) -> dict[str, Any]:
    return {name: list(dataset[name]) for name in dataset.column_names} | {"names": dataset.features["label"].names}


def loaded(functions: Functions) -> Any:
    load = functions["load_texts"]
    folder = Path(tempfile.mkdtemp())
    for row, (text, desk) in enumerate(zip(*ROWS.values(), strict=True)):
        (folder / "texts" / desk).mkdir(parents=True, exist_ok=True)
        (folder / "texts" / desk / f"{row}.txt").write_bytes(text.encode("cp1252" if row == 0 else "utf-8"))
    table = pd.DataFrame(ROWS)
    table.to_csv(folder / "t.csv", index=False)
    table.to_json(folder / "t.jsonl", orient="records", lines=True)
    table.to_parquet(folder / "t.parquet")
    tables = [columns(load(folder / f"t.{ending}", "body", "desk")) for ending in ("csv", "jsonl", "parquet")]
    return [columns(load("news")), columns(load(folder / "texts")), *tables]


def decoded(functions: Functions) -> Any:
    contents = (b"\xa35", "£5".encode(), "\ufeff£5".encode(), b"f\xc3\xbcr\r\n\xa35\n")
    return [functions["decode"](content) for content in contents]


CASES = [
    Case(
        "data.load_texts",
        loaded,
        {
            "labels in the order of the files": ("sorted(set(labels))", "dict.fromkeys(reversed(labels))"),
            "broken characters": ("decode(file.read_bytes())", 'file.read_bytes().decode("utf-8", errors="ignore")'),
            "ids from zero": ("range(1, len(table) + 1)", "range(len(table))"),
        },
    ),
    Case(
        "tables.decode",
        decoded,
        {
            "the mark stays": ("content.removeprefix(codecs.BOM_UTF8)", "content"),
            "lost signs": ('line.decode("cp1252")', 'line.decode("ascii", errors="replace")'),
        },
    ),
]
