"""Experiments with error bars: a grid of settings times seeds, one stored row per run, resumable, on any executor.

A results file is CSV behind one line ``# {...}`` that holds the study's name, version and fixed settings. Rows are
appended and flushed to disk as runs finish; a study that was killed continues with the runs that are missing.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any

import pandas as pd

Cell = Mapping[str, Any]  # one combination: factor name -> value
Measure = Callable[[dict[str, Any], int], dict[str, Any]]  # (factors, seed) -> measurements
Notice = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Study:
    """What to run: ``cells`` (all with the same factor names) times ``seeds``, measured by ``measure``.

    ``measurements`` names the columns that ``measure`` returns; ``settings`` is everything else that was fixed, stored
    in the file's first line and compared when the study goes on. ``version`` changes when ``measure`` does.
    """

    name: str
    cells: Sequence[Cell]
    seeds: Sequence[int]
    measure: Measure
    measurements: Sequence[str]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    version: int = 1

    def __post_init__(self) -> None:
        names = {tuple(cell) for cell in self.cells}
        if len(names) != 1:
            raise ValueError(f"study {self.name}: all cells need the same factors in the same order, found {names}")

    @property
    def factors(self) -> list[str]:
        """The names of the factors."""
        return list(self.cells[0])

    @property
    def columns(self) -> list[str]:
        """The columns of a results file."""
        return [*self.factors, "seed", *self.measurements, "error"]

    @property
    def header(self) -> dict[str, Any]:
        """What a results file of this study says about itself."""
        return {"study": self.name, "version": self.version, "settings": dict(self.settings), "columns": self.columns}


def grid(**factors: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination of the values given for each factor, in order."""
    return [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]


def run_study(
    study: Study,
    path: Path,
    executor: Executor | None = None,
    on_row: Callable[[int, int], None] | None = None,
    on_notice: Notice = print,
) -> pd.DataFrame:
    """Run what is missing of a study, append each row to ``path`` as it is finished, and return all rows.

    Without an executor runs happen here, one after the other. ``on_row`` receives (rows there, rows in all). A run that
    raises is stored with its error and the others go on. Raises ValueError when the file holds another study, version
    or settings (naming the difference), OSError when the disk refuses a row; what was stored before stays.
    """
    done = {_key(study, row) for row in _open(study, path, on_notice)}
    wanted = [(dict(cell), seed) for cell in study.cells for seed in study.seeds]
    missing = [(cell, seed) for cell, seed in wanted if _key(study, {**cell, "seed": seed}) not in done]
    count = len(wanted) - len(missing)
    for row in _rows(study, missing, executor):
        _append(path, _line([row[column] for column in study.columns]))
        count += 1
        if on_row is not None:
            on_row(count, len(wanted))
    return load_results(path)


def load_results(path: Path) -> pd.DataFrame:
    """All rows of a results file, ordered by factors and seed, whatever the order in which they were finished."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no results at {path}; make them with bertft study {Path(path).stem}")
    rows = pd.read_csv(path, skiprows=1)
    factors = list(rows.columns[: list(rows.columns).index("seed")])
    ranks = rows[factors].astype(str)
    order = ranks.assign(seed=rows["seed"]).sort_values([*factors, "seed"], kind="stable").index
    return rows.loc[order].reset_index(drop=True)


def _rows(study: Study, missing: Sequence[tuple[Cell, int]], executor: Executor | None) -> Iterator[dict[str, Any]]:
    if executor is None:
        for cell, seed in missing:
            yield _measured(study.measure, study.measurements, cell, seed)
        return
    futures: list[Future] = [
        executor.submit(_measured, study.measure, study.measurements, cell, seed) for cell, seed in missing
    ]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _measured(measure: Measure, measurements: Sequence[str], cell: Cell, seed: int) -> dict[str, Any]:
    """One run's row; an error becomes part of the row, so that one failing run does not end a study."""
    blank = dict.fromkeys(measurements, "")
    try:
        measured = measure(dict(cell), seed)
    except Exception as error:
        return {**cell, "seed": seed, **blank, "error": f"{type(error).__name__}: {error}"}
    unknown = sorted(set(measured) ^ set(measurements))
    if unknown:
        return {**cell, "seed": seed, **blank, "error": f"measurements differ from the study's: {', '.join(unknown)}"}
    return {**cell, "seed": seed, **measured, "error": ""}


# A results file ------------------------------------------------------------------------------------------------------


def _open(study: Study, path: Path, on_notice: Notice) -> list[dict[str, str]]:
    """The rows that are there; makes the file, repairs a line that was cut off, refuses another study's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size == 0:
        _append(path, f"# {json.dumps(study.header)}\n{_line(study.columns)}")
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        on_notice(f"{path.name}: the last line was cut off; removed it, its run is repeated")
        with path.open("r+b") as file:
            file.truncate(len(whole))
    lines = whole.decode("utf-8").splitlines(keepends=True)
    _refuse_other_study(study, path, lines)
    return list(csv.DictReader(io.StringIO("".join(lines[1:]), newline="")))


def _refuse_other_study(study: Study, path: Path, lines: Sequence[str]) -> None:
    if len(lines) < 2 or not lines[0].startswith("# {"):
        raise ValueError(f"{path} is not a results file: its first line must be '# {{...}}' and its second the columns")
    stored, wanted = json.loads(lines[0][2:]), json.loads(json.dumps(study.header))
    different = [
        f"{name} {stored.get(name)!r} there, {wanted[name]!r} here"
        for name in wanted
        if stored.get(name) != wanted[name]
    ]
    if different:
        raise ValueError(
            f"{path} was made by another study or version: {'; '.join(different)}. Move it away to start anew."
        )


def _append(path: Path, text: str) -> None:
    """Append and flush to disk; when the disk refuses, the file is as it was before."""
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


def _line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


def _key(study: Study, row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple("" if row[name] is None else str(row[name]) for name in [*study.factors, "seed"])
