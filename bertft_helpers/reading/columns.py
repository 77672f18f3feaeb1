"""The names of a table's columns: repaired aloud, none lost, and the wanted ones found or asked for."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from bertft_helpers.errors import UserError
from bertft_helpers.reading.report import Reading

UNNAMED = "unnamed"
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0]"
)


def repair_name(name: str) -> str:
    """A name in composed form (NFC), without invisible characters, white space folded: as a person reads it."""
    return " ".join(unicodedata.normalize("NFC", INVISIBLE.sub("", name)).split())


def name_columns(header: Sequence[str], reading: Reading, wanted: Sequence[str] = ()) -> list[str]:
    """One name for each column: repaired, ``note`` and ``note.1`` where two are called note, ``unnamed`` for none.

    Raises ValueError when a wanted name is that of several columns.
    """
    repaired = [repair_name(str(name)) or UNNAMED for name in header]
    changed = [new for old, new in zip(header, repaired, strict=True) if str(old) != new and str(old).strip()]
    if changed:
        shown = ", ".join(map(repr, changed))
        reading.note(
            f"{reading.name}: the names of the columns {shown} had hidden characters or white space around them"
        )
    counts = Counter(repaired)
    if several := [name for name in wanted if counts[name] > 1]:
        raise UserError(
            f"{reading.name} has several columns named {', '.join(map(repr, several))}; give each its own name"
        )
    names: list[str] = []
    for name in repaired:
        names.append(free_name(name, [*names, *(other for other in repaired if other != name)]))
    if again := sorted({name for name, count in counts.items() if count > 1 and name != UNNAMED}):
        reading.note(
            f"{reading.name} has several columns named {', '.join(map(repr, again))}: the later ones got a number"
        )
    return names


def free_name(name: str, taken: Iterable[str]) -> str:
    """``name``, or the first of ``name.1``, ``name.2``, … that is not taken."""
    taken = set(taken)
    candidates = (f"{name}.{number}" if number else name for number in range(len(taken) + 1))
    return next(candidate for candidate in candidates if candidate not in taken)


def require_columns(present: Sequence[str], name: str, wanted: Sequence[str], may_lack_header: bool = False) -> None:
    """Raise ValueError for wanted columns that are not there; names those that exist, and what can be done."""
    missing = [column for column in wanted if column not in present]
    if not missing:
        return
    alike = [other for column in missing for other in present if other.casefold() == column.casefold()]
    advice = f" Did you mean {', '.join(map(repr, alike))}?" if alike else " Name the columns with --text and --label."
    if len(present) == 1 and all(column in present[0] for column in missing):
        advice += " If its fields are parted by another character, name that with --delimiter."
    if may_lack_header and not alike:
        advice += " A file without a header is read with --no-header; its columns are called 1, 2, 3."
    shown = ", ".join(str(column) for column in present[:20])
    raise UserError(f"{name} has no column {', '.join(map(repr, missing))}; it has {shown}.{advice}")
