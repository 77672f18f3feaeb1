"""Executes one lesson with papermill in a process of its own (``python -m …series.execute.worker REQUEST``).

The request is a JSON file; the outcome is written beside it. Standard input is a lifeline: when it closes, the
runner is gone, and the worker ends (its kernel then ends too, because a kernel watches its parent).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from bertft_helpers.series.notebook import read_notebook, source_head

__all__ = ["execute", "main"]


def main(request_path: Path) -> None:
    """Execute the requested lesson; every end, good or bad, is an outcome file."""
    request = json.loads(request_path.read_text(encoding="utf-8"))
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    outcome = execute(request, request_path.with_name("cell.txt"))
    request_path.with_name("outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


def execute(request: dict[str, Any], progress: Path) -> dict[str, Any]:
    """Run the notebook; return status and, after a failure, the cell's position, its first line and the error."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    source = read_notebook(Path(request["source"]))
    positions = {cell.get("id"): number for number, cell in enumerate(source.cells, start=1)}
    reached = {"cell": 0, "source": ""}

    def remember(cell: Any, cell_index: int) -> None:
        reached.update(cell=positions.get(cell.get("id"), cell_index + 1), source=source_head(cell.source))
        progress.write_text(f"{reached['cell']}/{len(source.cells)}")

    try:
        papermill.execute_notebook(
            request["source"],
            request["output"],
            parameters=request["parameters"],
            kernel_name="python3",
            language="python",  # a lesson that was never executed does not say so itself
            progress_bar=False,
            cwd=str(Path(request["source"]).parent),
            execution_timeout=request["cell_timeout"],
            on_cell_start=remember,
            shutdown_kernel="immediate",
        )
    except PapermillExecutionError as error:
        return {"status": "failed", "error": f"{error.ename}: {error.evalue}", **reached}
    except CellTimeoutError:
        return {"status": "timeout", "error": f"the cell took longer than {request['cell_timeout']} s", **reached}
    except DeadKernelError:
        return {"status": "dead kernel", "error": "the kernel died (out of memory, or the cell ended it)", **reached}
    except Exception as error:  # a broken kernel start, an unwritable folder: the runner reports it and goes on
        return {"status": "failed", "error": f"{type(error).__name__}: {error}", **reached}
    return {"status": "ok"}


def _end_with_the_runner() -> None:
    # not sys.stdin: its lock, held by a waiting thread, would break a normal exit
    while os.read(0, 1024):
        pass
    os._exit(3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
