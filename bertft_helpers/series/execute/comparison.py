"""Executes lessons again and compares every output with the stored one, through nbval."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from bertft_helpers.series.catalogue import Lesson
from bertft_helpers.series.execute.interrupts import signals_as_interrupt
from bertft_helpers.series.execute.kernels import kernel_environment
from bertft_helpers.series.execute.process_tree import end_process_tree
from bertft_helpers.series.execute.side_by_side import longest_first


def compare_outputs(lessons: Sequence[Lesson], cell_timeout: int, jobs: int = 1, to_stderr: bool = False) -> bool:
    """Whether every cell of the lessons gave its stored output again; pytest writes what differs.

    Raises ``KeyboardInterrupt`` on Ctrl-C and SIGTERM, after every kernel has ended.
    """
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "--no-header"]
    command += [f"--nbval-cell-timeout={cell_timeout}", "-p", "bertft_helpers.series.execute.nbval_tolerance"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(lessons[0].path.parent), "-c", os.devnull]
    command += [f"--color={'yes' if sys.stdout.isatty() else 'no'}"]
    if jobs > 1:  # cells of one lesson share a kernel, so a lesson stays with one worker; in our order, not by cells
        command += ["-n", str(jobs), "--dist", "loadscope", "--no-loadscope-reorder"]
    ordered = longest_first(lessons) if jobs > 1 else lessons
    with kernel_environment() as env, signals_as_interrupt():
        where = sys.stderr if to_stderr else None
        process = subprocess.Popen(
            [*command, *(str(lesson.path) for lesson in ordered)], env=env, stdout=where, start_new_session=True
        )
        try:
            while process.poll() is None:
                time.sleep(0.1)
        finally:
            end_process_tree(process)
    return process.returncode == 0
