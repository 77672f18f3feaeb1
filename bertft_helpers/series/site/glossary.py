"""The glossary's terms, and the page that explains them."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["EVERYDAY", "Term", "glossary_page", "hover_definitions", "terms_of"]


_ENTRY = re.compile(r"^- \*\*(?P<name>.+?)\*\*\s*(?P<lesson>\(\[.+?\]\(.+?\)\))?:\s*(?P<definition>.+)$", re.MULTILINE)
_SHORT = re.compile(r"(?P<long>.+?) \((?P<short>[\w-]+)\)")
# Terms that are everyday words as well: in running text they mostly mean the everyday thing, so nothing hovers there.
EVERYDAY = {
    "abstain",
    "batch",
    "block",
    "boundary",
    "buffer",
    "configuration",
    "coverage",
    "draw",
    "environment",
    "extra",
    "head",
    "history",
    "id",
    "interaction",
    "label",
    "layer",
    "lead",
    "leak",
    "lock",
    "mask",
    "nat",
    "norm",
    "offset",
    "packing",
    "pair",
    "pipeline",
    "precision",
    "recall",
    "recipe",
    "report",
    "revision",
    "run",
    "schedule",
    "seed",
    "slice",
    "span",
    "step",
    "stride",
    "study",
    "support",
    "target",
    "template",
    "token",
    "view",
    "wheel",
    "width",
    "word",
}


class Term(NamedTuple):
    """An entry of the glossary; ``lesson`` is the Markdown that names its lesson, empty if none does."""

    name: str
    definition: str
    lesson: str

    @property
    def spellings(self) -> list[str]:
        """How a text writes the term: ``expected calibration error (ECE)`` in full or short."""
        match = _SHORT.fullmatch(self.name)
        return [match["long"], match["short"]] if match else [self.name]


def terms_of(glossary: str) -> list[Term]:
    """The entries ``- **term** ([NN](lesson)): definition`` of GLOSSARY.md."""
    return [Term(m["name"], m["definition"].strip(), m["lesson"] or "") for m in _ENTRY.finditer(glossary)]


def glossary_page(glossary: str) -> str:
    """GLOSSARY.md with its entries as a list of definitions, each of which can be linked to."""
    first = _ENTRY.search(glossary)
    introduction = glossary[: first.start()] if first else glossary
    entries = "\n\n".join(f"{term.name}\n  {term.definition} {term.lesson}" for term in terms_of(glossary))
    return f"{introduction.strip()}\n\n:::{{glossary}}\n{entries}\n:::\n"


def hover_definitions(glossary: str) -> dict[str, tuple[str, str]]:
    """Spelling -> (term, definition) for the terms that are explained where the text uses them."""
    return {
        spelling: (term.name, re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", term.definition))
        for term in terms_of(glossary)
        for spelling in term.spellings
        if spelling.lower() not in EVERYDAY
    }
