"""Lessons executed for what their cells say: by IPython as in a kernel, but in a process that is ready at once.

``bertft check --execute`` runs every lesson in a real kernel and draws its figures. Tests that ask only what a cell
prints, at the size of the profile ``smoke``, need neither.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import nbformat
import torch
from forked import READY

from bertft_helpers.series.catalogue import Lesson, plan_parameters
from bertft_helpers.series.notebook import numbered_code_cells, source_head, tags

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LONGEST = 600  # seconds, on a busy machine


class Said(NamedTuple):
    """What a cell wrote to standard output, and whether it showed anything beside it: a value, a table."""

    text: str
    showed: bool


def run_smoke(lesson: Lesson, notebook: nbformat.NotebookNode) -> dict[str, Said]:
    """``run_cells`` of a lesson, as it is or changed, in its folder, at the size of the profile ``smoke``."""
    planned = plan_parameters(NOTEBOOKS, [lesson], "smoke").get(lesson.name, {})
    return run_cells(notebook, lesson.path.parent, planned)


def run_cells(notebook: nbformat.NotebookNode, folder: Path, parameters: Mapping[str, Any]) -> dict[str, Said]:
    """Execute the code cells in ``folder``, without a network; what each of them said, by the cell's id.

    ``parameters`` replace the lesson's own. Raises AssertionError with the error of the first cell that raises one.
    """
    cells = [(cell.id, cell.source, "parameters" in tags(cell)) for _, cell in numbered_code_cells(notebook)]
    receiver, sender = READY.Pipe(duplex=False)
    child = READY.Process(target=_execute, args=(sender, torch.get_num_threads(), folder, cells, dict(parameters)))
    child.start()
    sender.close()
    try:
        assert receiver.poll(LONGEST), f"no answer in {LONGEST} s"
        said, failure = receiver.recv()
    finally:
        child.kill()
        child.join()
    assert not failure, failure
    return said


def _execute(
    sender: Connection, threads: int, folder: Path, cells: list[tuple[str, str, bool]], parameters: dict[str, Any]
) -> None:
    import matplotlib as mpl
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from matplotlib import pyplot

    os.chdir(folder)
    torch.set_num_threads(threads)
    mpl.use("agg")
    sys.addaudithook(_stay_here)
    shell, said = InteractiveShell.instance(), {}
    with (  # figures are made and not drawn
        mock.patch.object(pyplot, "show", partial(pyplot.close, "all")),
        mock.patch.object(pyplot.Figure, "savefig", return_value=None),
    ):
        for name, source, declares in cells:
            with capture_output() as output:
                result = shell.run_cell(source)
            said[name] = Said(output.stdout, bool(output.outputs))
            if not result.success:
                error = result.error_before_exec or result.error_in_exec
                sender.send((said, f"{source_head(source)}: {type(error).__name__}: {error}"))
                return
            if declares:
                shell.user_ns.update(parameters)
    sender.send((said, ""))


def _stay_here(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"a lesson wants to reach {args[1][0]}")
