"""Imports go one way: folders import what the package's README allows, the root downwards, and the core no tools.

A module that keeps something to itself says in ``__all__`` what it offers.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bertft_helpers"
# The root, from what needs nothing to what builds on it; a module imports from lower levels or its own.
LEVELS = {
    **dict.fromkeys(
        ["errors", "files", "runtime", "config", "metrics", "ranking", "rouge", "spans", "tables", "hub", "pretrained"],
        0,
    ),
    **dict.fromkeys(["batching", "losses", "validation", "data", "models", "first_token"], 1),
    **dict.fromkeys(
        ["features", "long_texts", "mean_pooled", "optim", "evaluation", "history", "failures", "answers", "pairs"], 2
    ),
    **dict.fromkeys(["training", "inference", "answering", "similarity", "tagging", "masking", "blanks"], 3),
    **dict.fromkeys(["regression", "several_labels", "summarizing", "windows"], 3),
    **dict.fromkeys(["plots", "drawing", "lessons"], 4),
    **dict.fromkeys(["arithmetic", "diagrams", "shapes", "sketches"], 5),
}
ROOT = "."
# folder that the root stands on -> the modules of the root that it may import
BELOW = {"reading": {"errors"}, "model_files": {"errors", "tables"}}
# folder above the root -> the other folders that it may import from; the same table is in the package's README
FOLDERS = {
    ROOT: set(),
    "speed": {ROOT},
    "resume": {ROOT, "speed"},
    "studies": {ROOT, "speed"},
    "own_texts": {ROOT, "speed", "resume"},
    "serving": {ROOT},
    "series": {ROOT, "speed", "studies"},
    "cli": {ROOT, "speed", "resume", "studies", "own_texts", "serving", "series"},
}
DRAWING = ("plots", "drawing", "arithmetic", "diagrams", "shapes", "sketches")
TOOLS = {
    *("papermill", "nbval", "nbclient", "nbformat", "nbconvert", "nbgrader", "jupyterlab", "jupytext", "ipykernel"),
    *("ipywidgets", "tensorboard", "pytest", "hypothesis", "ruff", "IPython", "typer", "rich"),
}
EXCEPTIONS = {("lessons", "IPython"), ("history", "tensorboard")}  # inside a function, for those who have it


@functools.cache
def imported_modules(source: str) -> list[str]:
    """Every module that a source imports, at its top or inside a function."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append(module)
            if module == "bertft_helpers":
                found += [f"bertft_helpers.{alias.name}" for alias in node.names]
    return found


def folder_of(name: str) -> str:
    """The folder of a module given as ``speed.vocabulary``; a module of the root is in ``.``."""
    folder, dot, _ = name.partition(".")
    return folder if dot or folder in FOLDERS or folder in BELOW else ROOT


def violations(sources: Mapping[str, str]) -> list[str]:
    """What is wrong with the imports of modules, given as name (``series.execute.runner``) to source."""
    found = []
    for name, source in sources.items():
        if name == "__main__":
            continue
        if folder_of(name) not in {**FOLDERS, **BELOW} or (folder_of(name) == ROOT and name not in LEVELS):
            found.append(f"{name} has no place")
            continue
        for module in imported_modules(source):
            found += [f"{name} imports {module}: {why}" for why in _reasons(name, module)]
    return found + _cycles(sources)


def _reasons(name: str, module: str) -> Iterator[str]:
    package, _, other = module.partition(".")
    if module.startswith("."):
        yield "imports are absolute"
    elif package == "bertft_helpers" and other and other != "__version__":
        yield from _wrong_way(name, other)
    elif package == "matplotlib" and name not in DRAWING:
        yield f"only {' and '.join(DRAWING)} draw"
    elif folder_of(name) not in ("series", "cli") and package in TOOLS and (name, package) not in EXCEPTIONS:
        yield "the core needs no tools"


def _wrong_way(name: str, other: str) -> Iterator[str]:
    own, its = folder_of(name), folder_of(other)
    if own in BELOW:
        if its != own and other.split(".")[0] not in BELOW[own]:
            yield f"{own} may not import {other.split('.')[0]}"
        return
    if its in BELOW:
        return
    if own == its == ROOT:
        if LEVELS.get(other.split(".")[0], 0) > LEVELS[name]:
            yield "an upward arrow"
    elif own != its and its not in FOLDERS[own]:
        yield f"{own} may not import {its}"


def _cycles(sources: Mapping[str, str]) -> list[str]:
    graph = {name: {m.removeprefix("bertft_helpers.") for m in _own(source)} for name, source in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"a cycle: {' -> '.join(error.args[1])}"]
    return []


def _own(source: str) -> list[str]:
    return [module for module in imported_modules(source) if module.startswith("bertft_helpers.")]


def package_sources() -> dict[str, str]:
    paths = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path.read_text() for path in paths}


@functools.cache  # most sources stay as they are while one after the other is damaged
def without_type_checking(source: str) -> str:
    """A source without its ``if TYPE_CHECKING`` blocks, which import nothing when the code runs."""
    tree = ast.parse(source)
    body = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    return ast.unparse(ast.Module(body=body, type_ignores=[]))


def test_the_package_imports_one_way() -> None:
    sources = {name: without_type_checking(source) for name, source in package_sources().items()}
    assert len(sources) > 10
    assert violations(sources) == []


def test_importing_the_package_imports_nothing_else() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert set(imported_modules(path.read_text())) <= {"sys"}, path  # which every process has loaded already


def test_the_readme_has_the_folders_and_what_they_may_import() -> None:
    rows = [line for line in (PACKAGE / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    told = {}
    for row in rows:
        folder, _, allowed = (cell.strip() for cell in row.strip("|").split("|"))
        told[folder.strip("`").rstrip("/")] = {name.rstrip("/") for name in re.findall(r"`([^`]+)`", allowed)}
    assert told.pop("cli") == told.pop(ROOT) == set()  # "everything" and "itself", in words
    assert told == {folder: may for folder, may in {**FOLDERS, **BELOW}.items() if folder not in ("cli", ROOT)}
    assert {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))} == {*FOLDERS, *BELOW} - {ROOT}


@pytest.mark.parametrize(
    ("name", "planted", "why"),
    [
        ("metrics", "from bertft_helpers.training import fit", "an upward arrow"),
        ("data", "def f():\n    from bertft_helpers import evaluation", "an upward arrow"),
        ("training", "import bertft_helpers.series.execute.runner", ". may not import series"),
        ("speed.vocabulary", "from bertft_helpers.resume.run import Progress", "speed may not import resume"),
        ("studies.rows", "from bertft_helpers.own_texts import scores", "studies may not import own_texts"),
        ("own_texts.run", "from bertft_helpers.cli.console import stop", "own_texts may not import cli"),
        ("reading.labels", "from bertft_helpers.data import clean", "reading may not import data"),
        ("model_files.card", "from bertft_helpers.reading import labels", "model_files may not import reading"),
        ("evaluation", "import matplotlib.pyplot as plt", "draw"),
        ("data", "import papermill", "the core needs no tools"),
        ("features", "from rich.progress import track", "the core needs no tools"),
        ("data", "from . import pretrained", "imports are absolute"),
        ("helpers", "", "has no place"),
        ("utils.text", "", "has no place"),
    ],
)
def test_a_planted_violation_is_found(name: str, planted: str, why: str) -> None:
    sources = package_sources()
    sources[name] = sources.get(name, "") + f"\n{planted}\n"
    assert any(why in violation for violation in violations({k: without_type_checking(v) for k, v in sources.items()}))


def test_a_planted_cycle_within_a_level_is_found() -> None:
    sources = {"data": "import bertft_helpers.models", "models": "import bertft_helpers.data"}
    assert any("a cycle" in violation for violation in violations(sources))


def definitions(source: str) -> set[str]:
    """The functions, classes and constants of a module's top, ``__all__`` apart."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            nodes = [node for target in targets for node in ast.walk(target)]
            names.update(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return names - {"__all__"}


def offers(source: str) -> list[str] | None:
    """What ``__all__`` lists; None where there is none."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def imported_names(source: str) -> set[str]:
    imports = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def wrong_offers(source: str) -> list[str]:
    """What is wrong with a module's ``__all__``, which a module with private names must have."""
    defined, listed = definitions(source), offers(source)
    private = {name for name in defined if name.startswith("_")}
    if listed is None:
        return ["private names and no __all__"] if private else []
    return [
        *(f"{name} is public and not listed" for name in sorted(defined - private - set(listed))),
        *(f"{name} is listed and not there" for name in sorted(set(listed) - defined - imported_names(source))),
        *(f"{name} is listed and private" for name in sorted(private & set(listed))),
    ]


def test_a_module_with_private_names_lists_exactly_its_public_ones() -> None:
    sources = package_sources()
    assert sum(offers(source) is not None for source in sources.values()) > 50
    assert {name: wrong for name, source in sources.items() if (wrong := wrong_offers(source))} == {}


@pytest.mark.parametrize(
    ("planted", "wrong"),
    [
        ("def load():\n    _rows()\ndef _rows(): ...", ["private names and no __all__"]),
        ("__all__ = ['load']\ndef load(): ...\nclass Rows: ...", ["Rows is public and not listed"]),
        (
            "__all__ = ['load']\nFIRST, LAST = 0, 9\nload: int = 1",
            ["FIRST is public and not listed", "LAST is public and not listed"],
        ),
        ("__all__ = ['load', 'save']\ndef load(): ...", ["save is listed and not there"]),
        ("__all__ = ['_rows']\ndef _rows(): ...", ["_rows is listed and private"]),
        ("from os import path as load\n__all__ = ['load']", []),
        ("def load(): ...", []),
    ],
)
def test_a_planted_wrong_list_is_found(planted: str, wrong: list[str]) -> None:
    assert wrong_offers(planted) == wrong
