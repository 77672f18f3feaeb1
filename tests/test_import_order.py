"""Imports go one way, from the higher level to the lower or within one, and the core stays free of the tools."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bertft_helpers"
LEVELS = {
    **dict.fromkeys(["runtime", "config", "metrics", "tables", "throughput"], 0),
    **dict.fromkeys(["pretrained", "data", "batching", "losses", "models", "validation"], 1),
    **dict.fromkeys(["vocabulary", "dropout", "first_token", "states"], 1),
    **dict.fromkeys(["features", "optim", "evaluation", "history", "failures", "frozen"], 2),
    **dict.fromkeys(["training", "resume", "inference"], 3),
    **dict.fromkeys(["results", "experiments", "summaries", "recipes", "studies", "plots", "lessons"], 4),
    **dict.fromkeys(["excerpts", "sources", "distributed", "prepared", "plan", "task", "baselines", "diagnosis"], 4),
    **dict.fromkeys(["verdict", "report", "labelling", "scoring"], 4),
    "series": 5,
    **dict.fromkeys(["cli", "console", "publishing", "own_texts"], 6),
}
CORE_LEVELS = range(5)
TOOLS = {
    *("papermill", "nbval", "nbclient", "nbformat", "nbconvert", "nbgrader", "jupyterlab", "jupytext", "ipykernel"),
    *("ipywidgets", "tensorboard", "psutil", "pytest", "hypothesis", "ruff", "IPython", "typer", "rich"),
}
EXCEPTIONS = {("lessons", "IPython"), ("history", "tensorboard")}  # inside a function, for those who have it


def imported_modules(source: str) -> Iterator[str]:
    """Every module that a source imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            if module == "bertft_helpers":
                yield from (f"bertft_helpers.{alias.name}" for alias in node.names)


def violations(sources: Mapping[str, str]) -> list[str]:
    """What is wrong with the imports of modules, given as name (``series.runner``) to source."""
    found = []
    for name, source in sources.items():
        noun = name.split(".")[0]
        if noun not in LEVELS:
            found.append(f"{name} has no level")
            continue
        for module in imported_modules(source):
            found += [f"{name} imports {module}: {why}" for why in _reasons(noun, module)]
    return found + _cycles(sources)


def _reasons(noun: str, module: str) -> Iterator[str]:
    root, _, rest = module.partition(".")
    if module.startswith("."):
        yield "imports are absolute"
    elif root == "bertft_helpers" and rest and LEVELS.get(rest.split(".")[0], 99) > LEVELS[noun]:
        yield "an upward arrow"
    elif root == "matplotlib" and noun != "plots":
        yield "only plots draws"
    elif LEVELS[noun] in CORE_LEVELS and root in TOOLS and (noun, root) not in EXCEPTIONS:
        yield "the core needs no tools"


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
        assert list(imported_modules(path.read_text())) == [], path


@pytest.mark.parametrize(
    ("name", "planted", "why"),
    [
        ("metrics", "from bertft_helpers.training import fit", "an upward arrow"),
        ("data", "def f():\n    from bertft_helpers import evaluation", "an upward arrow"),
        ("training", "import bertft_helpers.series.runner", "an upward arrow"),
        ("evaluation", "import matplotlib.pyplot as plt", "only plots draws"),
        ("data", "import papermill", "the core needs no tools"),
        ("features", "from rich.progress import track", "the core needs no tools"),
        ("data", "from . import pretrained", "imports are absolute"),
        ("helpers", "", "has no level"),
    ],
)
def test_a_planted_violation_is_found(name: str, planted: str, why: str) -> None:
    sources = package_sources()
    sources[name] = sources.get(name, "") + f"\n{planted}\n"
    assert any(why in violation for violation in violations({k: without_type_checking(v) for k, v in sources.items()}))


def test_a_planted_cycle_within_a_level_is_found() -> None:
    sources = {"data": "import bertft_helpers.models", "models": "import bertft_helpers.data"}
    assert any("a cycle" in violation for violation in violations(sources))
