"""Rows of a Parquet file, batch by batch, with the names of classes that lie beside its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

from bertft_helpers.errors import UserError, first_line
from bertft_helpers.reading.columns import name_columns, require_columns
from bertft_helpers.reading.containers import refuse_bomb
from bertft_helpers.reading.records import Row
from bertft_helpers.reading.report import Reading

__all__ = ["MOST_ROWS", "ROWS_AT_ONCE", "ROWS_PER_BYTE", "read_parquet"]

ROWS_AT_ONCE = 1024
MOST_ROWS, ROWS_PER_BYTE = 10_000_000, 10  # a table of texts takes more than a tenth of a byte for a row


def read_parquet(
    file: IO[bytes], reading: Reading, size: int, wanted: Sequence[str]
) -> tuple[list[str], Iterator[Row]]:
    """Columns and rows of a Parquet file, never more than a batch in memory; ``size`` is the file's in bytes.

    Raises ValueError when it is none, is damaged, or says that it unpacks to what no table of texts is.
    """
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
    except Exception as error:  # pyarrow's error classes are many and its own
        raise UserError(f"{reading.name} is not a Parquet file, or is damaged: {first_line(error)}") from error
    head = table.metadata
    refuse_bomb(reading.name, sum(head.row_group(n).total_byte_size for n in range(head.num_row_groups)), size)
    if head.num_rows > MOST_ROWS and head.num_rows > ROWS_PER_BYTE * size:
        raise UserError(
            f"{reading.name} of {size:,} bytes says that it has {head.num_rows:,} rows: no table of texts has"
        )
    reading.kind = "Parquet"
    columns = name_columns(table.schema_arrow.names, reading, wanted)
    require_columns(columns, reading.name, wanted)
    return columns, _parquet_rows(table, columns, _class_names(table, columns, reading), reading)


def _class_names(table: Any, columns: Sequence[str], reading: Reading) -> dict[str, list[str]]:
    """Names of classes by column, where the library datasets wrote numbers and kept the names beside the table."""
    try:
        features = json.loads(table.schema_arrow.metadata[b"huggingface"])["info"]["features"]
        kinds = [features[name] for name in table.schema_arrow.names]
        found = {
            column: [str(name) for name in kind["names"]]
            for column, kind in zip(columns, kinds, strict=True)
            if isinstance(kind, dict) and kind.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):  # no such note in the file, or one of another version
        return {}
    for column in found:
        reading.note(f"{reading.name}: the column {column!r} holds numbers, read as the names of classes beside them")
    return found


def _named(values: list[Any], names: Sequence[str], column: str, reading: Reading) -> list[str | None]:
    """Names for numbers of classes; None where there is no label, which is -1 there."""
    if wrong := sorted({value for value in values if value is not None and not -1 <= value < len(names)}):
        raise UserError(
            f"{reading.name}: {column!r} holds {wrong[0]}, but has names for 0 to {len(names) - 1}; write it again"
        )
    return [None if value is None or value < 0 else names[value] for value in values]


def _parquet_rows(table: Any, columns: Sequence[str], names: dict[str, list[str]], reading: Reading) -> Iterator[Row]:
    row = 0
    try:
        for batch in table.iter_batches(ROWS_AT_ONCE):
            held = [_plain_values(column) for column in batch.columns]
            for place, column in enumerate(columns):
                if column in names:
                    held[place] = _named(held[place], names[column], column, reading)
            for values in zip(*held, strict=True):
                row += 1
                reading.rows += 1
                yield row, dict(zip(columns, values, strict=True))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{reading.name} is damaged after row {row}: {first_line(error)}") from error


def _plain_values(column: Any) -> list[Any]:
    """A column's values; a short float as it was written, 1.1, not as the nearest long one, 1.10000002384."""
    import pyarrow

    values = column.to_pylist()
    if pyarrow.types.is_float32(column.type) or pyarrow.types.is_float16(column.type):
        return [None if value is None else float(str(column.type.to_pandas_dtype()(value))) for value in values]
    return values
