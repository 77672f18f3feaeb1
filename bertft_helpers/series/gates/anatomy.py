"""Gates for the anatomy that all lessons share, so that a reader finds the same things in the same places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from nbformat import NotebookNode

from bertft_helpers.series.catalogue import number_of
from bertft_helpers.series.gates.outputs import shows_something
from bertft_helpers.series.notebook import declared_parameters, is_folded, numbered_code_cells, parse_cell, tags
from bertft_helpers.series.overview import minutes_to_read

__all__ = [
    "FEWEST_CELLS",
    "FEWEST_CHECKS",
    "GATES",
    "HEADINGS",
    "LONGEST_CELL",
    "LONGEST_IN_SHORT",
    "LONGEST_READ",
    "MOST_CELLS",
    "NAMED_GATES",
    "SHORTEST_READ",
    "SOLUTION_BEGIN",
    "SOLUTION_END",
    "STATED_READ",
    "Finding",
    "long_cell",
    "missing_heading",
    "shown_setup",
    "star_import",
    "too_few_checks",
    "unanswered",
    "unread_parameter",
    "unstated_time",
    "wrong_in_short",
    "wrong_length",
    "wrong_opening",
    "wrong_shape",
    "wrong_solutions",
    "wrong_title",
]

Finding = tuple[int | None, str]

HEADINGS = ("Check", "What goes wrong", "Choices", "Exercises", "Takeaways")
LONGEST_CELL = 40  # lines
LONGEST_IN_SHORT = 15  # lines, blank ones not counted
FEWEST_CELLS, MOST_CELLS = 12, 35  # with code: less is no lesson, more is two
SHORTEST_READ, LONGEST_READ = 10, 25  # minutes
STATED_READ = re.compile(r"\*\*Time\*\* about\s+(\d+)\s+minutes\s+to\s+read")
FEWEST_CHECKS = 3
SOLUTION_BEGIN, SOLUTION_END = "### BEGIN SOLUTION", "### END SOLUTION"


def wrong_title(name: str, notebook: NotebookNode) -> Iterator[Finding]:
    """The first cell is text and asks the lesson's question."""
    number = number_of(name)
    expected = f"# Q{int(number)} · " if number.isdecimal() and number != "00" else f"# {number} · "
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith(expected):
        yield 1, f"must be text that begins with {expected!r}"


def wrong_shape(_name: str, notebook: NotebookNode) -> Iterator[Finding]:
    """The answer in words, a folded set-up cell, the answer in plain code: what a reader in a hurry needs."""
    for gate in (unanswered, shown_setup, wrong_in_short):
        yield from gate(notebook)


def unanswered(notebook: NotebookNode) -> Iterator[Finding]:
    """The first cell answers the question that its title asks."""
    if not notebook.cells or "**Answer.**" not in notebook.cells[0].source:
        yield 1, "must answer its question: **Answer.** and three sentences"


def shown_setup(notebook: NotebookNode) -> Iterator[Finding]:
    """The set-up cell takes one line of the page."""
    for number, cell in numbered_code_cells(notebook):
        if "setup" in tags(cell) and not (is_folded(cell) and cell.metadata.get("cellView") == "form"):
            yield number, "shows its set-up code to everyone: run bertft stamp, which folds it"


def wrong_in_short(notebook: NotebookNode) -> Iterator[Finding]:
    """After the set-up comes one cell that answers the question in plain library calls and can be copied alone."""
    cells = numbered_code_cells(notebook)
    tagged = [(place, number, cell) for place, (number, cell) in enumerate(cells, 1) if "in-short" in tags(cell)]
    if len(tagged) != 1:
        yield None, f"{len(tagged)} cells are tagged in-short; there must be exactly one"
    for place, number, cell in tagged:
        if place != 2 or not _under_in_short(notebook, number):
            yield number, "must be the first code after the set-up cell, under the heading 'In short'"
        if (lines := sum(bool(line.strip()) for line in cell.source.splitlines())) > LONGEST_IN_SHORT:
            yield number, f"has {lines} lines; In short has at most {LONGEST_IN_SHORT}"
        if "bertft_helpers" in cell.source:
            yield number, "uses bertft_helpers; In short is written with plain libraries, so that it can be copied"
        if not (shows_something(cell.source) or re.search(r"^\s*[!%]", cell.source, flags=re.MULTILINE)):
            yield number, "shows nothing; In short prints something to look at"


def _under_in_short(notebook: NotebookNode, number: int) -> bool:
    before = next((c for c in reversed(notebook.cells[: number - 1]) if c.cell_type == "markdown"), None)
    return before is not None and any(title.startswith("In short") for title in _titles(before.source))


def wrong_opening(notebook: NotebookNode) -> Iterator[Finding]:
    """The set-up cell comes first, the parameters directly after the imports, each exactly once."""
    cells = numbered_code_cells(notebook)
    for tag, latest in (("setup", 1), ("parameters", 4)):
        places = [(place, number) for place, (number, cell) in enumerate(cells, start=1) if tag in tags(cell)]
        if len(places) != 1:
            yield None, f"{len(places)} cells are tagged {tag}; there must be exactly one"
        elif places[0][0] > latest:
            yield places[0][1], f"is tagged {tag} and must be among the first {latest} code cells"


def missing_heading(notebook: NotebookNode) -> Iterator[Finding]:
    """The fixed sections are there, in their order."""
    titles = [title for cell in notebook.cells if cell.cell_type == "markdown" for title in _titles(cell.source)]
    places = {name: next((n for n, t in enumerate(titles) if t.startswith(name)), None) for name in HEADINGS}
    for name in (name for name, place in places.items() if place is None):
        yield None, f"has no heading that begins with {name!r}"
    found = [place for place in places.values() if place is not None]
    if found != sorted(found):
        yield None, f"the sections must come in the order {', '.join(HEADINGS)}"


def _titles(source: str) -> list[str]:
    return re.findall(r"^#+ +(.*)$", source, flags=re.MULTILINE)


def too_few_checks(notebook: NotebookNode) -> Iterator[Finding]:
    """The headline claims are asserted; the answers to exercises do not count."""
    calls = 0
    for _, cell in numbered_code_cells(notebook):
        if "solution" not in tags(cell):
            calls += sum(_is_check(node) for node in ast.walk(parse_cell(cell.source)))
    if calls < FEWEST_CHECKS:
        yield None, f"calls check() {calls} times; every headline claim needs one, at least {FEWEST_CHECKS}"


def _is_check(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check"


def wrong_solutions(notebook: NotebookNode) -> Iterator[Finding]:
    """Two or three exercises, each answer folded, and between the markers that make a student's copy."""
    answers = [(number, cell) for number, cell in numbered_code_cells(notebook) if "solution" in tags(cell)]
    if not 2 <= len(answers) <= 3:
        yield None, f"has {len(answers)} cells tagged solution; a lesson has two or three exercises"
    for number, cell in answers:
        begins, ends = cell.source.count(SOLUTION_BEGIN), cell.source.count(SOLUTION_END)
        ordered = cell.source.find(SOLUTION_BEGIN) < cell.source.find(SOLUTION_END)
        if not (begins == ends == 1 and ordered):
            yield number, f"is tagged solution and needs one {SOLUTION_BEGIN!r} and after it one {SOLUTION_END!r}"
        if not is_folded(cell):
            yield number, "shows a solution to everyone: fold it (metadata: jupyter, source_hidden)"


def long_cell(notebook: NotebookNode) -> Iterator[Finding]:
    """Code comes in pieces that fit on a screen."""
    for number, cell in numbered_code_cells(notebook):
        if (lines := len(cell.source.splitlines())) > LONGEST_CELL:
            yield number, f"has {lines} lines; at most {LONGEST_CELL} are allowed: split it"


def wrong_length(notebook: NotebookNode) -> Iterator[Finding]:
    """A lesson is read in one sitting, and explains at least as much as it computes."""
    code = len(numbered_code_cells(notebook))
    text = sum(cell.cell_type == "markdown" and bool(cell.source.strip()) for cell in notebook.cells)
    if not FEWEST_CELLS <= code <= MOST_CELLS:
        yield None, f"has {code} code cells; a lesson has {FEWEST_CELLS} to {MOST_CELLS}"
    if text < code:
        yield None, f"has {text} text cells for {code} code cells: say before each cell what to look at, or merge cells"


def unstated_time(notebook: NotebookNode) -> Iterator[Finding]:
    """The first cell says how long reading takes, so that a reader can plan, and not less than the map."""
    stated = STATED_READ.search(notebook.cells[0].source) if notebook.cells else None
    if stated is None:
        yield 1, "must say how long reading takes: **Time** about 20 minutes to read"
    elif not SHORTEST_READ <= int(stated[1]) <= LONGEST_READ:
        yield (
            1,
            f"promises {stated[1]} minutes of reading; {SHORTEST_READ} to {LONGEST_READ} are allowed: split the lesson",
        )
    elif (measured := minutes_to_read(notebook)) > int(stated[1]):
        yield 1, f"promises {stated[1]} minutes of reading; its words and cells take {measured}: shorten it, or say so"


def star_import(notebook: NotebookNode) -> Iterator[Finding]:
    """A reader can see where every name comes from."""
    for number, cell in numbered_code_cells(notebook):
        for node in ast.walk(parse_cell(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                yield number, f"imports * from {node.module}: name what is used"


def unread_parameter(notebook: NotebookNode) -> Iterator[Finding]:
    """Every declared parameter is a literal that some other cell reads, and SMOKE is among them."""
    declared = declared_parameters(notebook)
    read: set[str] = set()
    for _, cell in numbered_code_cells(notebook):
        if "parameters" not in tags(cell):
            read |= _names_read(parse_cell(cell.source))
    place = next((number for number, cell in numbered_code_cells(notebook) if "parameters" in tags(cell)), None)
    for name in declared.keys() - read:
        yield place, f"declares the parameter {name}, which no cell reads"
    if "SMOKE" not in declared:
        yield place, "declares no SMOKE = False, by which a quick run skips what it cannot show"


def _names_read(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


GATES = (
    wrong_opening,
    missing_heading,
    too_few_checks,
    wrong_solutions,
    long_cell,
    wrong_length,
    unstated_time,
    star_import,
    unread_parameter,
)
NAMED_GATES = (wrong_title, wrong_shape)  # these take the lesson's name too
