"""The reference: a page for each module that a user may import, and a first page that says what is where."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

__all__ = ["INTERNAL", "PACKAGE", "SHOWN", "Module", "module_page", "modules", "reference_page"]

PACKAGE = Path(__file__).parents[2]
INTERNAL = {  # module or folder of the package that the reference leaves out -> why nobody imports it
    "__main__": "it is the command when it is called as python -m bertft_helpers",
    "cli": "it holds the words of the command, which says them with --help",
    "series": "it runs, checks and publishes these lessons, by commands and make targets",
}
SHOWN = ("series", "series.doctor", "series.tested")  # of the parts left out: what lessons call, with its folder


class Module:
    """A module of the package, or a folder by its ``__init__.py``."""

    def __init__(self, path: Path) -> None:
        place = path.relative_to(PACKAGE).with_suffix("").parts
        self.path = path
        self.is_folder = path.stem == "__init__"
        self.short = ".".join(place[:-1] if self.is_folder else place)  # as in "speed.trial"
        self.name = f"{PACKAGE.name}.{self.short}" if self.short else PACKAGE.name
        self.is_internal = place[0] in INTERNAL and self.short not in SHOWN

    @property
    def summary(self) -> str:
        """The first paragraph of its docstring in one line."""
        docstring = ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or ""
        return " ".join(inspect.cleandoc(docstring).partition("\n\n")[0].split())


def modules() -> Iterator[Module]:
    """What the reference describes: the folders of the package, each followed by its modules."""
    found = [Module(path) for path in PACKAGE.rglob("*.py")]
    # a folder's parts sort before those of the folders in it; within a folder its __init__.py comes first
    found.sort(key=lambda module: (module.path.parent.parts, module.path.stem))
    yield from (module for module in found if not module.is_internal)


def module_page(module: Module) -> str:
    """The page of one module, in reStructuredText, filled from docstrings by Sphinx."""
    return f"{module.short}\n{'=' * len(module.short)}\n\n.. automodule:: {module.name}\n   :members:\n"


def reference_page() -> str:
    """The reference's first page, in Markdown: every folder with its modules and what each is for."""
    described = list(modules())
    sections = [_section(list(members)) for _, members in groupby(described, lambda module: module.path.parent)]
    pages = "\n".join(f"{module.short} <{module.name}>" for module in described if not module.is_folder)
    return _PAGE.format(sections="\n\n".join(sections), pages=pages)


def _section(members: list[Module]) -> str:
    folder, *inside = members
    lines = (f"- [{module.short}]({module.name}.rst): {module.summary}" for module in inside)
    return f"## {folder.short or folder.name}\n\n{folder.summary}\n\n" + "\n".join(lines)


_PAGE = """# Reference

Every module of the package that you may import. A function that a lesson wrote out names the lesson.

{sections}

:::{{toctree}}
:hidden:

{pages}
:::
"""
