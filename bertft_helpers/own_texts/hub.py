"""Labelled texts from the Hub: only where its name was given as one, and never by waiting for a network."""

from __future__ import annotations

from datasets import ClassLabel, Dataset

from bertft_helpers.data import build, refuse_one_column
from bertft_helpers.errors import UserError
from bertft_helpers.hub import load_train_split
from bertft_helpers.reading.damage import note_damage
from bertft_helpers.reading.groups import number_groups
from bertft_helpers.reading.labels import name_labels
from bertft_helpers.reading.places import HubName
from bertft_helpers.reading.report import Reading
from bertft_helpers.validation import check_texts

__all__ = ["read_hub"]


def read_hub(
    found: HubName, text_column: str, label_column: str, group_column: str | None = None
) -> tuple[Dataset, Reading]:
    """The train split of a data set on the Hub; code that it brings is never run.

    Classes of a ``ClassLabel`` keep their order. Raises as ``hub.load_train_split``, and ValueError naming columns and
    rows.
    """
    refuse_one_column(text_column, label_column)
    problem = f"there is no file or folder {found.name!r}, and the Hub's data set of that name could not be loaded"
    raw = load_train_split(found.name, found.revision, problem)
    wanted = (text_column, label_column, *([] if group_column is None else [group_column]))
    missing = [column for column in wanted if column not in raw.column_names]
    if missing:
        raise UserError(f"{found.name} has no column {', '.join(missing)}; it has {', '.join(raw.column_names)}")
    reading = Reading(found.name, "train split of the Hub's data set", rows=len(raw))
    texts, labels, order = list(raw[text_column]), list(raw[label_column]), []
    feature = raw.features[label_column]
    if isinstance(feature, ClassLabel):
        labels = [feature.int2str(label) if label is not None and label >= 0 else None for label in labels]
        order = name_labels(feature.names, f"{found.name}, names of {label_column!r}")
    check_texts(texts, f"{found.name}, column {text_column!r}")
    note_damage(reading, texts, range(1, len(texts) + 1))
    names = name_labels(labels, f"{found.name}, column {label_column!r}", on_note=reading.note)
    if unused := [name for name in order if name not in set(names)]:
        reading.note(f"{found.name}: no texts of {', '.join(unused[:5])}, so no class of that name")
    groups = None
    if group_column is not None:
        groups = number_groups(list(raw[group_column]), f"{found.name}, column {group_column!r}", reading.note)
    return build([str(row) for row in range(1, len(texts) + 1)], texts, names, order, groups), reading
