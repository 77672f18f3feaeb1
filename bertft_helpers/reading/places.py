"""Where labelled texts are: a path, texts that the series knows by name, or a data set on the Hub.

Nothing here loads a library, so that a mistyped path is told at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from bertft_helpers.errors import MissingError, UserError

__all__ = ["NAME", "PREFIX", "HubName", "hub_name", "require_data", "require_path", "require_place"]

_KNOWN = ("news", "ag_news")
PREFIX = "hub:"
NAME = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")


class HubName(NamedTuple):
    """``owner/name`` and the revision that was asked for."""

    name: str
    revision: str | None


def hub_name(source: str) -> HubName | None:
    """The Hub's data set that a source names: ``hub:name``, or ``owner/name`` where that can be no path here.

    That is: exactly one slash, no file ending, and no folder ``owner`` here. Raises ValueError for a malformed name
    after ``hub:``.
    """
    given = source.removeprefix(PREFIX)
    found = NAME.fullmatch(given)
    if source.startswith(PREFIX):
        if found is None:
            raise UserError(
                f"{source!r} is no name on the Hub; it must look like hub:owner/name or hub:owner/name@revision"
            )
        return HubName(found["name"], found["revision"])
    if found is None or found["name"].count("/") != 1:
        return None
    owner, name = found["name"].split("/")
    is_path = Path(source).exists() or Path(owner).exists() or owner in (".", "..") or Path(name).suffix
    return None if is_path else HubName(found["name"], found["revision"])


def require_place(source: str) -> None:
    """Raise MissingError when a source of labelled texts is no name that could be known, and no path either."""
    if source not in _KNOWN and hub_name(source) is None:
        require_data(source)


def require_data(path: str | Path) -> None:
    """Raise MissingError when there are no labelled texts at ``path``."""
    if not Path(path).exists():
        searched = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
        raise MissingError(f"no data at {str(path)!r}{searched}: give a folder, a file, 'news' or 'ag_news'")


def require_path(path: str | Path) -> None:
    """Raise MissingError when there is nothing at ``path``."""
    if not Path(path).exists():
        raise MissingError(f"no file {str(path)!r}; check the path")
