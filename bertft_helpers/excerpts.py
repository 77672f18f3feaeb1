"""Strangers' text made fit to be shown: nothing invisible in it, and no longer than a reader wants."""

from __future__ import annotations

import unicodedata

# Marks that change the direction of what follows, so that a text can look like another one (CVE-2021-42574).
DIRECTION_MARKS = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def visible(text: str, longest: int | None = 300) -> str:
    """One line of text in which control characters and direction marks are written out, as ``<U+001B>``.

    White space is folded; a text beyond ``longest`` characters is cut and its length told; ``None`` cuts nothing.
    """
    head = text if longest is None else text[: 4 * longest]  # a line of a megabyte is not worth looking through
    shown = "".join(_written(character) for character in " ".join(head.split()))
    if longest is None or (len(shown) <= longest and len(head) == len(text)):
        return shown
    return f"{shown[:longest].rstrip()} … ({len(text):,} characters)"


def _written(character: str) -> str:
    code = ord(character)
    hidden = unicodedata.category(character) in ("Cc", "Cs") or code in DIRECTION_MARKS
    return f"<U+{code:04X}>" if hidden else character
