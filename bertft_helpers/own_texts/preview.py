"""What a run would read, clean and divide, without training: ``bertft train --dry-run``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from bertft_helpers.own_texts.kinds import kind_for
from bertft_helpers.own_texts.prepared import PARTS, Prepared, introduction
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.reading.report import Reading
from bertft_helpers.tables import visible


@dataclasses.dataclass(frozen=True)
class Preview:
    """How the texts were read, what they become, and what is to be said about them."""

    reading: Reading
    prepared: Prepared
    notes: list[str]

    def lines(self) -> list[str]:
        """The preview in sentences: reading, rows, classes in the order of the logits with their counts, notes."""
        counts = {part: self.prepared.counts(part) for part in PARTS}
        classes = [
            f"class {number}, {visible(name, 60)!r}: " + ", ".join(f"{counts[part][number]} {part}" for part in PARTS)
            for number, name in enumerate(self.prepared.label_names)
        ]
        notes = [f"note: {note}" for note in [*self.reading.notes, *self.notes]]
        return [self.reading.summary(), introduction(self.prepared), *classes, *notes]

    def facts(self) -> dict[str, Any]:
        """The same for a program: rows that were read, kept and removed, encoding, classes, parts, notes."""
        prepared, reading = self.prepared, self.reading
        return {
            "source": reading.name,
            "kind": reading.kind,
            "encoding": reading.encoding,
            "rows": reading.rows,
            "blank_rows": reading.blank,
            "removed": dict(Counter(prepared.removed["reason"])),
            "kept": sum(len(prepared.examples[part]) for part in PARTS),
            "label_names": prepared.label_names,
            "parts": {part: prepared.counts(part) for part in PARTS},
            "texts": prepared.digest,
            "notes": [*reading.notes, *self.notes],
        }


def preview(settings: TaskSettings) -> Preview:
    """Read, clean, encode and divide as a run with these settings would; nothing is trained or written.

    Raises what reading and preparing raise.
    """
    kind = kind_for(settings)
    dataset, reading = kind.load(settings)
    tokenizer = load_tokenizer(settings.checkpoint)
    length = min(settings.max_length, tokenizer.model_max_length)
    prepared = kind.prepare(settings, dataset, tokenizer, length)
    return Preview(reading, prepared, kind.warnings(prepared, length, settings))
