"""Bytes of files as other programs write them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import pandas as pd
from datasets import ClassLabel, Dataset, Features, Value


def excel(*sheets: list[list[object]]) -> bytes:
    """A book with the rows of each sheet."""
    from openpyxl import Workbook

    book = Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"more {number}") if number else book.active
        for row in rows:
            sheet.append(row)
    book.save(buffer := io.BytesIO())
    return buffer.getvalue()


def parquet(**columns: Sequence[object]) -> bytes:
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
