"""Texts that were damaged before they reached us: used as they are, since nobody can repair them here, but said."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bertft_helpers.reading.report import Reading

__all__ = ["LOST", "MISREAD", "Damage", "note_damage"]

LOST = "\ufffd"
# What bytes 0x80 to 0xBF look like when UTF-8 is read as Windows-1252 or Latin-1; behind these letters they are
# hardly ever meant: für, naïve (Ã), 5 £ (Â), quotation marks and dashes (â€), emoji (ðŸ), Cyrillic (Ð, Ñ).
_FOLLOWING = re.escape(bytes(range(0x80, 0xC0)).decode("cp1252", "ignore")) + "\x80-\xbf"
MISREAD = re.compile(rf"[ÂÃ][{_FOLLOWING}]|â[€\x80][{_FOLLOWING}]|ð[Ÿ\x9f][{_FOLLOWING}]|(?:[ÐÑ][{_FOLLOWING}]){{2}}")


class Damage:
    """Counts damaged texts as they pass, and keeps the first of each kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lost, self.misread = 0, 0
        self.first_lost = self.first_misread = ""

    def look(self, place: int | str, text: object) -> None:
        """One more text, from a row of a table or from a file."""
        if not isinstance(text, str) or text.isascii():
            return
        where = f"row {place}" if isinstance(place, int) else place
        if LOST in text:
            self.lost += 1
            self.first_lost = self.first_lost or where
        if found := MISREAD.search(text):
            self.misread += 1
            around = text[max(0, found.start() - 10) : found.end() + 10]
            self.first_misread = self.first_misread or f"{around!r} in {where}"

    def tell(self, reading: Reading) -> None:
        """Note what was found, one sentence for each kind."""
        again = "they are used as they are; export them again from where they come"
        if self.lost:
            reading.note(
                f"{self.name}: texts with U+FFFD in place of letters that were lost before: {self.lost:,}, the first "
                f"in {self.first_lost}; {again}"
            )
        if self.misread:
            reading.note(
                f"{self.name}: texts that look as if their UTF-8 had been read as another encoding before: "
                f"{self.misread:,}, the first {self.first_misread}; {again}"
            )


def note_damage(reading: Reading, texts: Iterable[object], places: Iterable[int | str]) -> None:
    """Look through texts that are all there, and note what was found."""
    damage = Damage(reading.name)
    for place, text in zip(places, texts, strict=True):
        damage.look(place, text)
    damage.tell(reading)
