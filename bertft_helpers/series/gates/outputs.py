"""Gates for stored outputs: complete, of this very code, quiet, free of private things, and truly compared."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from nbformat import NotebookNode

from bertft_helpers.series.execute.storing import RUN_METADATA
from bertft_helpers.series.notebook import cell_digests, numbered_code_cells, parse_cell, source_digest, tags

__all__ = [
    "GATES",
    "IGNORED",
    "LARGEST_TOLERANCE",
    "SMALLEST_COMPARED_SHARE",
    "Finding",
    "called_names",
    "figure_without_alt",
    "missing_output",
    "noise",
    "not_compared",
    "not_executed",
    "other_exemption",
    "private_text",
    "shows_something",
    "stale",
    "unrounded",
]

Finding = tuple[int | None, str]

IGNORED = "nbval-ignore-output"
SMALLEST_COMPARED_SHARE = 0.9
LARGEST_TOLERANCE = 0.1
_SHOWING = {"print", "check", "display", "show", "show_table", "exercise", "expect_error"}
_REASON = re.compile(r"# not compared: \S+")
_EVERY_DIGIT = re.compile(r"(?<![\w.])-?\d+\.\d{7,}")  # a float32 holds seven digits, the last ones by chance
_PRIVATE = {
    "an absolute path": re.compile(
        r"(?<![\w.~/-])/(home|root|tmp|work|Users|usr|opt|mnt|var|content|kaggle)/\S*|\b[A-Za-z]:\\\w\S*"
        r"|\S*(?:site|dist)-packages\S*"
    ),
    "an address": re.compile(r"https?://(?!www\.w3\.org/)\S+"),
    "an e-mail address": re.compile(r"\b[\w.+-]+@[\w-]+\.[a-z]{2,}\b"),
    "something like a token": re.compile(
        r"\b(?:hf|gh[pousr]|sk|github_pat)[_-][A-Za-z0-9_]{16,}|\bAKIA[A-Z0-9]{16}\b"
        r"|\b(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d)[A-Za-z0-9]{32,}\b"
    ),
    "a memory address": re.compile(r"\b0x[0-9a-fA-F]{6,}"),
}


def not_executed(notebook: NotebookNode) -> Iterator[Finding]:
    """Every code cell was executed, from the first to the last, in one go."""
    for due, (number, cell) in enumerate(numbered_code_cells(notebook), start=1):
        if cell.execution_count is None:
            yield number, "was not executed"
        elif cell.execution_count != due:
            yield number, f"has execution count {cell.execution_count} where {due} is due: cells moved or run again"


def stale(notebook: NotebookNode) -> Iterator[Finding]:
    """The outputs belong to this code, by the digests kept with them."""
    kept = notebook.metadata.get("bertft", {})
    if kept.get("source_sha256") == source_digest(notebook):
        return
    if "source_sha256" not in kept:
        yield None, "no digest is kept with the outputs: store them with bertft store"
        return
    current, stored = cell_digests(notebook), kept.get("cell_sha256", {})
    changed = [n for n, cell in numbered_code_cells(notebook) if stored.get(cell.id) != current.get(cell.id)]
    for number in changed:
        yield number, "the code is not the code that gave the stored outputs: store them again"
    if not changed:
        yield None, "code cells were moved or removed since the outputs were stored: store them again"


def missing_output(notebook: NotebookNode) -> Iterator[Finding]:
    """A cell that prints, shows or ends in an expression has an output."""
    for number, cell in numbered_code_cells(notebook):
        if not cell.outputs and shows_something(cell.source):
            yield number, "has no output but prints, shows or ends in an expression (end it with ; if none is meant)"


def noise(notebook: NotebookNode) -> Iterator[Finding]:
    """No error, no stderr, no widget, no trace of the run itself."""
    for key in RUN_METADATA:
        if key in notebook.metadata:
            yield None, f"the notebook's metadata holds {key!r}: store the outputs with bertft store"
    for number, cell in enumerate(notebook.cells, start=1):
        for key in RUN_METADATA:
            if key in cell.metadata:
                yield number, f"the cell's metadata holds {key!r}: store the outputs with bertft store"
        for output in cell.get("outputs", []):
            yield from ((number, text) for text in _noise_of(output))


def _noise_of(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"the output is an error: {output.ename}: {output.evalue}"
    if output.get("name") == "stderr":
        yield f"something was written to stderr: {output.text.strip()[:80]}"
    if any("widget" in kind for kind in output.get("data", {})):
        yield "the output is a widget, which a stored page cannot show"


def private_text(notebook: NotebookNode) -> Iterator[Finding]:
    """No output holds a path of a machine, an address, a token or a memory address."""
    for number, cell in numbered_code_cells(notebook):
        text = "\n".join(_texts(cell))
        for what, pattern in _PRIVATE.items():
            if found := pattern.search(text):
                yield number, f"the output holds {what}: {found.group()[:60]}"


def figure_without_alt(notebook: NotebookNode) -> Iterator[Finding]:
    """Every figure says in words what it shows, and no figure is left as its repr."""
    for number, cell in numbered_code_cells(notebook):
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt", "").strip():
                    yield number, f"a figure ({kind}) has no alt text: show it with its alt text"
            if "<Figure size" in output.get("data", {}).get("text/plain", ""):
                yield number, "a figure was shown by its repr: show it with its alt text"


def not_compared(notebook: NotebookNode) -> Iterator[Finding]:
    """Few cells are left out of the comparison; each says why, and none is a figure or a check."""
    cells = numbered_code_cells(notebook)
    ignored = [(number, cell) for number, cell in cells if IGNORED in tags(cell)]
    for number, cell in ignored:
        if not _REASON.match(cell.source):
            yield number, f"is tagged {IGNORED}, but its first line is not '# not compared: <reason>'"
        if any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
            yield number, f"is tagged {IGNORED}, but shows a figure: figures are always compared"
        if "check" in called_names(parse_cell(cell.source)):
            yield number, f"is tagged {IGNORED}, but calls check(): checks are always compared"
    if cells and (share := 1 - len(ignored) / len(cells)) < SMALLEST_COMPARED_SHARE:
        yield None, f"only {share:.0%} of the code cells are compared; at least {SMALLEST_COMPARED_SHARE:.0%} must be"


def other_exemption(notebook: NotebookNode) -> Iterator[Finding]:
    """No way around the comparison but the one tag, and no tolerance that tolerates everything."""
    for number, cell in numbered_code_cells(notebook):
        if "NBVAL_" in cell.source.upper().replace("-", "_"):
            yield number, "steers nbval by a comment: use the cell's tags"
        for tag in tags(cell):
            if tag in ("nbval-skip", "nbval-raises-exception", "raises-exception"):
                yield number, f"is tagged {tag}: catch a planned error in the cell and print it"
            if tag.startswith("nbval-atol") and not re.fullmatch(r"nbval-atol=0\.\d+", tag):
                yield number, f"has the tag {tag!r}: write it like nbval-atol=0.03"
            elif tag.startswith("nbval-atol") and float(tag.partition("=")[2]) > LARGEST_TOLERANCE:
                yield number, f"has the tag {tag!r}: at most {LARGEST_TOLERANCE} is allowed"


def unrounded(notebook: NotebookNode) -> Iterator[Finding]:
    """What is compared exactly shows no digits that another processor, which adds up in another order, changes."""
    for number, cell in numbered_code_cells(notebook):
        compared_exactly = not any(tag in (IGNORED, "setup") or tag.startswith("nbval-atol") for tag in tags(cell))
        if compared_exactly and (found := _EVERY_DIGIT.search("\n".join(_texts(cell)))):
            yield number, f"shows {found.group()}, whose last digits differ on other processors: round it"


def called_names(tree: ast.AST) -> set[str]:
    """Names of the functions called when the code runs; bodies of definitions do not count."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            names.add(node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", ""))
        names |= called_names(node)
    return names


def shows_something(source: str) -> bool:
    """Whether a cell is written to have an output: it prints, shows, or ends in an expression."""
    tree = parse_cell(source)
    ends_in_expression = bool(tree.body) and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";")
    return ends_in_expression or bool(called_names(tree) & _SHOWING)


def _texts(cell: NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        yield output.get("text", "")
        yield from (value for kind, value in output.get("data", {}).items() if _is_text(kind) and value)
        yield from (str(value) for value in output.get("metadata", {}).values())


def _is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind in ("image/svg+xml", "application/javascript")


GATES = (
    not_executed,
    stale,
    missing_output,
    noise,
    private_text,
    figure_without_alt,
    not_compared,
    other_exemption,
    unrounded,
)
