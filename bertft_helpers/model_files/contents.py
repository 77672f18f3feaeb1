"""The files of a model's folder, each whole or named as what it is instead: empty, a pointer, no JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertft_helpers.errors import DamagedFileError, MissingError, UserError, first_line

__all__ = [
    "ANOTHER_COPY",
    "CONFIG",
    "POINTER",
    "in_plain_words",
    "listed",
    "read_config",
    "read_object",
    "require_content",
    "require_folder",
    "require_kind",
]

CONFIG = "config.json"
POINTER = b"version https://git-lfs"
ANOTHER_COPY = "copy or download it again"


def read_config(folder: Path) -> dict[str, Any]:
    """The content of ``config.json``. MissingError without it; DamagedFileError if it is no JSON object."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise MissingError(f"{folder} is no model folder: {CONFIG} missing")
    return read_object(path)


def require_folder(folder: Path) -> None:
    """Raise MissingError when there is no folder, which is known before any library is loaded."""
    if not Path(folder).is_dir():
        raise MissingError(f"{folder} is no model folder: {CONFIG} missing")


def require_kind(folder: Path, kind: str) -> None:
    """Raise UserError when the folder holds another architecture; its weights would fit few names of this one."""
    found = read_config(folder).get("model_type")
    if found != kind:
        raise UserError(
            f"the model in {folder} is of the type {found!r}; only BERT models ('bert') can be used here: "
            "choose a folder with one"
        )


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises DamagedFileError naming file and folder."""
    require_content(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path.name} in {path.parent} is no JSON ({error}): {ANOTHER_COPY}") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise DamagedFileError(f"{path.name} in {path.parent} is no JSON object but a {kind}: {ANOTHER_COPY}")
    return content


def require_content(path: Path) -> None:
    """Raise DamagedFileError for an empty file and for a git-lfs pointer."""
    size = path.stat().st_size
    if size == 0:
        raise DamagedFileError(f"{path.name} in {path.parent} is empty (0 bytes): {ANOTHER_COPY}")
    with open(path, "rb") as file:
        pointer = file.read(len(POINTER)) == POINTER
    if pointer:
        raise DamagedFileError(
            f"{path.name} in {path.parent} is a git-lfs pointer of {size} bytes, not the file itself: "
            "run 'git lfs pull' there, or download the file"
        )


@contextlib.contextmanager
def in_plain_words(folder: Path, what: str) -> Iterator[None]:
    """Raise UserError with one line in place of whatever a library raises about a folder."""
    try:
        yield
    except Exception as error:  # the libraries below raise anything, a plain Exception too
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"the {what} in {folder} cannot be loaded: {reason}") from error


def listed(names: list[str]) -> str:
    """The first three names in their order, and how many more there are."""
    first = sorted(names)[:3]
    return ", ".join(first) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
