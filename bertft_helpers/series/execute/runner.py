"""Runs lessons, each in a process of its own that is watched and, when need be, ended with its kernel."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bertft_helpers.files import scratch_folder
from bertft_helpers.series.catalogue import Lesson
from bertft_helpers.series.execute import CELL_TIMEOUT
from bertft_helpers.series.execute.interrupts import signals_as_interrupt
from bertft_helpers.series.execute.kernels import kernel_environment
from bertft_helpers.series.execute.process_tree import descendants, end_process_tree, memory_of
from bertft_helpers.series.execute.side_by_side import longest_first

__all__ = ["Observer", "Outcome", "Worker", "run_lessons"]

_GRACE = 45  # seconds a worker may take to start a kernel, or to report that a cell is over its limit
_POLL = 0.2  # seconds between two looks at a worker


@dataclass(frozen=True)
class Outcome:
    """How one lesson went: wall-clock seconds, peak memory of its kernel in MB, and what failed where."""

    lesson: str
    status: str  # "ok", "failed", "timeout", "dead kernel"
    seconds: float
    peak_mb: float
    cell: int | None = None  # position among all cells, counted from 1
    source: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether every cell ran."""
        return self.status == "ok"


class Observer(Protocol):
    """What the runner tells while it works."""

    def started(self, lesson: str) -> None: ...
    def reached(self, lesson: str, cell: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...


class Worker:
    """One lesson being executed by ``series.worker`` in a process of its own."""

    def __init__(
        self, lesson: Lesson, output: Path, parameters: Mapping[str, Any], cell_timeout: int, env: dict
    ) -> None:
        self.lesson, self.cell_timeout, self.peak = lesson, cell_timeout, 0
        self._files = ExitStack()
        folder = self._files.enter_context(scratch_folder("run"))
        self._request = folder / "request.json"
        request = {"source": str(lesson.path.resolve()), "output": str(output.resolve()), "cell_timeout": cell_timeout}
        self._request.write_text(json.dumps({**request, "parameters": dict(parameters)}), encoding="utf-8")
        self._log = (folder / "log.txt").open("w+b")
        self.start = self._progressed = time.monotonic()
        self._cell = ""
        # a session of its own: Ctrl-C in a terminal reaches the runner only, which then ends everything in order
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bertft_helpers.series.execute.worker", str(self._request)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )

    def look(self) -> str | None:
        """Sample the memory; return the cell reached, as ``7/30``, when it is a new one."""
        self.peak = max(self.peak, memory_of(descendants(self._process.pid)))
        path = self._request.with_name("cell.txt")
        cell = path.read_text() if path.exists() else ""
        if not cell or cell == self._cell:
            return None
        self._cell, self._progressed = cell, time.monotonic()
        return cell

    def outcome(self) -> Outcome | None:
        """The outcome once the worker is done or stuck, None before."""
        stuck = time.monotonic() - self._progressed > self.cell_timeout + _GRACE
        if self._process.poll() is None and not stuck:
            return None
        report = self._report(stuck)
        self.close()
        return Outcome(self.lesson.name, seconds=time.monotonic() - self.start, peak_mb=self.peak / 2**20, **report)

    def _report(self, stuck: bool) -> dict[str, Any]:
        path = self._request.with_name("outcome.json")
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        cell = int(self._cell.split("/")[0]) if self._cell else None
        if stuck:
            return {"status": "timeout", "cell": cell, "error": f"no progress for {self.cell_timeout + _GRACE} s"}
        self._log.seek(0)
        last = self._log.read().decode("utf-8", "replace").strip().splitlines() or ["no message"]
        return {"status": "failed", "cell": cell, "error": f"the worker ended without a result: {last[-1]}"}

    def close(self) -> None:
        """End the worker and its kernel, if they still run, and remove its temporary files."""
        end_process_tree(self._process)
        self._log.close()
        self._files.close()


def run_lessons(
    lessons: Sequence[Lesson],
    parameters: Mapping[str, Mapping[str, Any]],
    out: Path,
    observer: Observer,
    cell_timeout: int = CELL_TIMEOUT,
    jobs: int = 1,
    threads: int | None = None,
) -> list[Outcome]:
    """Execute lessons into ``out``, at most ``jobs`` side by side; a failing lesson does not stop the others.

    Each kernel has as many ``threads``; None leaves them to the environment. Side by side, long lessons begin first.
    Returns the outcomes in the order of the lessons. Raises ``KeyboardInterrupt`` on Ctrl-C, SIGTERM and SIGHUP, after
    every worker and kernel has ended.
    """
    out.mkdir(parents=True, exist_ok=True)
    waiting, done = longest_first(lessons) if jobs > 1 else list(lessons), {}
    running: dict[str, Worker] = {}
    with kernel_environment(threads) as env, signals_as_interrupt(), ExitStack() as stack:
        stack.callback(_close_all, running)
        while waiting or running:
            while waiting and len(running) < jobs:
                lesson = waiting.pop(0)
                observer.started(lesson.name)
                output = out / f"{lesson.name}.ipynb"
                running[lesson.name] = Worker(lesson, output, parameters.get(lesson.name, {}), cell_timeout, env)
            for outcome in _look_at(running, observer):
                done[outcome.lesson] = outcome
                observer.finished(outcome)
            time.sleep(_POLL)
    return [done[lesson.name] for lesson in lessons]


def _close_all(running: dict[str, Worker]) -> None:
    for worker in running.values():
        worker.close()


def _look_at(running: dict[str, Worker], observer: Observer) -> Iterator[Outcome]:
    for name, worker in list(running.items()):
        if cell := worker.look():
            observer.reached(name, cell)
        if outcome := worker.outcome():
            del running[name]
            yield outcome
