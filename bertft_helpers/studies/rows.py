"""A results file: one CSV row per run behind a line that says what was run; it outlives kills and full disks.

The first line is ``# {...}``: study, version, fixed settings, columns. Every row is flushed to disk before the next run
is counted, so that a kill costs at most the line being written, which is found and removed at the next start.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bertft_helpers.errors import MissingError, UserError

__all__ = ["Notice", "append_row", "load_rows", "open_rows", "stored_settings"]

Notice = Callable[[str], None]


def open_rows(path: Path, header: Mapping[str, Any], on_notice: Notice = print) -> list[dict[str, str]]:
    """The rows that are there, as text by column; makes the file when there is none. ``header["columns"]`` names them.

    A line that was cut off is removed and reported to ``on_notice``. Raises ValueError for the file of another study,
    version or settings, naming the difference, and for a row with a wrong number of fields, naming the row.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beginning = f"# {json.dumps(header)}\n{_line(header['columns'])}"
    content = path.read_bytes() if path.exists() else b""
    if beginning.encode().startswith(content) and content != beginning.encode():  # killed while the file was begun
        _truncate(path, 0)
        _append(path, beginning)
        return []
    content = _without_cut_off_line(path, content, on_notice)
    lines = content.decode("utf-8").splitlines(keepends=True)
    _refuse_other_study(path, lines, header)
    return _parse(path, lines[1:])


def stored_settings(path: Path) -> dict[str, Any] | None:
    """The fixed settings of the study in a file; None when there is none yet, or its first line is not whole.

    What is wrong with a file is told by ``open_rows``.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError), path.open(encoding="utf-8") as file:
        return dict(json.loads(file.readline().removeprefix("# ")).get("settings", {}))
    return None


def append_row(path: Path, values: Sequence[Any]) -> None:
    """Add one row and flush it to disk. Raises OSError when the disk refuses; the file is then as it was before."""
    _append(path, _line(values))


def load_rows(path: Path) -> pd.DataFrame:
    """All rows of a results file, ordered by factors and seed, whatever the order in which they were finished."""
    if not Path(path).is_file():
        raise MissingError(f"no results at {path}; make them with bertft study {Path(path).stem}")
    rows, texts = pd.read_csv(path, skiprows=1), pd.read_csv(path, skiprows=1, dtype=str)
    for column in rows.select_dtypes("float"):
        rows[column] = texts[column].astype(float)  # pandas' own parser of numbers can miss the last bit
    factors = list(rows.columns[: list(rows.columns).index("seed")])
    ranks = rows[factors].astype(str)
    order = ranks.assign(seed=rows["seed"]).sort_values([*factors, "seed"], kind="stable").index
    return rows.loc[order].reset_index(drop=True)


def _without_cut_off_line(path: Path, content: bytes, on_notice: Notice) -> bytes:
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        _truncate(path, len(whole))
        on_notice(f"{path.name}: the last line was cut off; removed it, its run is repeated")
    return whole


def _refuse_other_study(path: Path, lines: Sequence[str], header: Mapping[str, Any]) -> None:
    if len(lines) < 2 or not lines[0].startswith("# {"):
        raise UserError(f"{path} is not a results file: its first line must be '# {{...}}' and its second the columns")
    try:
        stored = json.loads(lines[0][2:])
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: its first line is damaged ({error}); move the file away to start anew") from error
    wanted = json.loads(json.dumps(header))
    different = [
        f"{name} {stored.get(name)!r} there, {wanted[name]!r} here"
        for name in wanted
        if stored.get(name) != wanted[name]
    ]
    if different:
        raise UserError(
            f"{path} was made by another study or version: {'; '.join(different)}. Move it away to start anew."
        )


def _parse(path: Path, lines: Sequence[str]) -> list[dict[str, str]]:
    columns, *rows = csv.reader(io.StringIO("".join(lines), newline=""))
    for number, row in enumerate(rows, start=3):  # as an editor counts: two lines come before the first row
        if len(row) != len(columns):
            raise UserError(
                f"{path}: row {number} has {len(row)} fields instead of {len(columns)}; delete it, its run is repeated"
            )
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _append(path: Path, text: str) -> None:
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            data = text.encode()
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise


def _truncate(path: Path, size: int) -> None:
    with path.open("ab") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def _line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([_on_one_line(value) for value in values])
    return buffer.getvalue()


def _on_one_line(value: Any) -> Any:
    """Texts without line breaks: a row is one line, or else a cut-off row could not be told from a whole one."""
    return " ".join(value.splitlines()) if isinstance(value, str) else value
