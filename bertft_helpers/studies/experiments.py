"""Experiments with error bars: a grid of settings times seeds, one stored row per run, resumable, on any executor.

Rows are appended to a results file as runs finish; a study that was killed continues with the runs that are missing.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any

import pandas as pd

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.files import held
from bertft_helpers.studies.rows import Notice, append_row, load_rows, open_rows

__all__ = ["Cell", "Measure", "Study", "grid", "run_study"]

Cell = Mapping[str, Any]  # one combination: factor name -> value
Measure = Callable[[dict[str, Any], int], dict[str, Any]]  # (factors, seed) -> measurements


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
            raise UserError(f"study {self.name}: all cells need the same factors in the same order, found {names}")

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
    or settings (naming the difference), OSError when the disk refuses a row, another process writes the file or a
    worker process died; what was stored before stays, and calling again goes on from there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path):
        done = _runs_there(study, path, on_notice)
        wanted = [(dict(cell), seed) for cell in study.cells for seed in study.seeds]
        missing = [(cell, seed) for cell, seed in wanted if _key(study, {**cell, "seed": seed}) not in done]
        count = len(wanted) - len(missing)
        for row in _rows(study, missing, executor):
            append_row(path, [row[column] for column in study.columns])
            count += 1
            if on_row is not None:
                on_row(count, len(wanted))
    return load_rows(path)


def _runs_there(study: Study, path: Path, on_notice: Notice) -> set[tuple[str, ...]]:
    keys = [_key(study, row) for row in open_rows(path, study.header, on_notice)]
    repeated = [number for number, key in enumerate(keys) if key in keys[:number]]
    if repeated:
        runs = ", ".join(str(number + 3) for number in repeated)  # two lines come before the first row
        raise UserError(f"{path} holds the same run twice, again in row {runs}; delete one of each")
    return set(keys)


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
    except Exception as error:  # a run's own errors are rows: what is raised here is the executor's
        raise RunError(
            f"the executor lost a run ({type(error).__name__}), often because a worker process died for lack of "
            "memory; the finished runs are stored: start the study again, with fewer workers"
        ) from error
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


def _key(study: Study, row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple("" if row[name] is None else str(row[name]) for name in [*study.factors, "seed"])
