"""Puts a run's outputs into a lesson, and nothing else of that run: no times, no versions, no injected cells."""

from __future__ import annotations

from nbformat import NotebookNode

from bertft_helpers.errors import UserError
from bertft_helpers.series.notebook import cell_digests, source_digest

__all__ = ["KERNEL", "LANGUAGE", "RUN_METADATA", "merge_streams", "with_outputs"]

# Written out, because a kernel reports its own version here and every Python update would change every lesson.
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python", "pygments_lexer": "ipython3"}
RUN_METADATA = ("papermill", "execution", "ExecuteTime", "widgets")


def with_outputs(lesson: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """The lesson with the outputs of its executed copy, and the digest of the code that gave them.

    Cells are matched by id. Raises ``ValueError`` when a code cell was not executed.
    """
    results = {cell.id: cell for cell in executed.cells if cell.cell_type == "code"}
    for number, cell in enumerate(lesson.cells, start=1):
        _strip(cell.metadata)
        if cell.cell_type == "code" and cell.source.strip():
            if cell.id not in results or results[cell.id].source != cell.source:
                raise UserError(f"cell {number} ({cell.id}) was changed during the run: store again")
            cell.execution_count = results[cell.id].execution_count
            cell.outputs = [_clean(output) for output in merge_streams(results[cell.id].outputs)]
    _strip(lesson.metadata)
    lesson.metadata.update(kernelspec=dict(KERNEL), language_info=dict(LANGUAGE))
    lesson.metadata["bertft"] = {"source_sha256": source_digest(lesson), "cell_sha256": cell_digests(lesson)}
    return lesson


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of the same stream: how many pieces arrive depends on timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _strip(metadata: NotebookNode) -> None:
    for key in RUN_METADATA:
        metadata.pop(key, None)
    if metadata.get("tags") == []:
        del metadata["tags"]


def _clean(output: NotebookNode) -> NotebookNode:
    if "metadata" in output:  # the text alternative of a figure lives here
        output.metadata = {kind: value for kind, value in output.metadata.items() if kind.startswith("image/")}
    return output
