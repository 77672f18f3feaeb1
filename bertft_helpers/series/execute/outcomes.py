"""What a run leaves behind: progress lines, the table at the end, ``run.json`` and the HTML index."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from bertft_helpers.files import sweep, write_json, write_text
from bertft_helpers.series.execute.runner import Outcome
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.pages import TEMPLATES, render

__all__ = ["Progressing", "failure", "print_table", "write_run"]

_REPORTED = ("torch", "transformers", "datasets", "scikit-learn", "numpy", "papermill")


class Progressing:
    """Progress for a person at a terminal: a moving line per running lesson, a lasting line per finished one.

    Anywhere else only the lasting lines are written.
    """

    def __init__(self, console: Console) -> None:
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        self._bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._console = console
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Progressing:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, lesson: str) -> None:
        """A lesson begins."""
        self._tasks[lesson] = self._bars.add_task(lesson)

    def reached(self, lesson: str, cell: str) -> None:
        """A lesson has come to a cell, ``7/30``."""
        self._bars.update(self._tasks[lesson], description=f"{lesson}  cell {cell}")

    def finished(self, outcome: Outcome) -> None:
        """A lesson has ended."""
        self._bars.remove_task(self._tasks[outcome.lesson])
        line = f"{outcome.lesson:<32} {outcome.status:<12} {outcome.seconds:6.1f} s {outcome.peak_mb:7.0f} MB"
        self._console.print(Text(line, style="" if outcome.ok else "bold red"), soft_wrap=True)


def print_table(outcomes: Sequence[Outcome], seconds: float, console: Console) -> None:
    """The table at the end; below it, cell and error of each lesson that did not finish, and the seconds in all."""
    table = Table("lesson", "seconds", "peak MB", "status")
    for outcome in outcomes:
        style = "" if outcome.ok else "bold red"
        table.add_row(outcome.lesson, f"{outcome.seconds:.1f}", f"{outcome.peak_mb:.0f}", outcome.status, style=style)
    console.print(table)
    for outcome in outcomes:
        if not outcome.ok:
            console.print(Text(f"{outcome.lesson}: {failure(outcome)}", style="red"), soft_wrap=True)
    good = sum(outcome.ok for outcome in outcomes)
    console.print(f"{good} of {len(outcomes)} lessons ran, {seconds:.0f} s in all")


def failure(outcome: Outcome) -> str:
    """Where and why a lesson failed, in one line; empty when it did not."""
    if outcome.ok:
        return ""
    place = f"cell {outcome.cell}: " if outcome.cell else ""
    source = f"`{outcome.source}`: " if outcome.source else ""
    return f"{place}{source}{' '.join(outcome.error.split())}"


def write_run(
    outcomes: Sequence[Outcome], parameters: Mapping[str, Mapping[str, Any]], out: Path, profile: str, jobs: int
) -> None:
    """Write ``run.json``, one HTML page per executed lesson and ``index.html`` into ``out``.

    ``parameters`` are those that lessons were given: a run with any is not one at the lessons' own values.
    """
    sweep(out)
    run = {
        "profile": profile,
        "jobs": jobs,
        "parameters": {lesson: dict(given) for lesson, given in parameters.items() if given},
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _REPORTED},
        "lessons": [{**asdict(o), "seconds": round(o.seconds, 2), "peak_mb": round(o.peak_mb, 1)} for o in outcomes],
    }
    write_json(out / "run.json", run)
    lessons = [(outcome, failure(outcome), _write_page(out / f"{outcome.lesson}.ipynb")) for outcome in outcomes]
    page = render("run.html.j2", profile=profile, when=run["when"], lessons=lessons)
    write_text(out / "index.html", page)


def _write_page(executed: Path) -> bool:
    if not executed.exists():
        return False
    from nbconvert import HTMLExporter

    paths = [str(TEMPLATES), str(TEMPLATES / "slide_template")]
    exporter = HTMLExporter(template_file="lesson.html.j2", extra_template_paths=paths)
    body, _ = exporter.from_notebook_node(read_notebook(executed))
    write_text(executed.with_suffix(".html"), body)
    return True


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
