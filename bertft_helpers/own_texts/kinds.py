"""The kinds of task that a run can have, one label a text or several, and all in which they differ while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from datasets import Dataset
from transformers import BertForSequenceClassification, PreTrainedTokenizerBase

from bertft_helpers.models import build_classifier
from bertft_helpers.own_texts.conclusion import conclude
from bertft_helpers.own_texts.prepared import Prepared, prepare_for, warnings_about
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.several.conclusion import conclude_several
from bertft_helpers.own_texts.several.prepared import prepare_several, warnings_about_several
from bertft_helpers.own_texts.several.sources import load_several
from bertft_helpers.own_texts.several.training import several_labels
from bertft_helpers.own_texts.sources import Source, load_source
from bertft_helpers.own_texts.training import Objective, one_label
from bertft_helpers.several_labels import build_multi_label

__all__ = ["ONE", "SEVERAL", "Kind", "kind_for"]


class Kind(NamedTuple):
    """How texts of a task are read and prepared, what is said of them, what is trained, and how the run ends."""

    load: Callable[[TaskSettings], Source]
    prepare: Callable[[TaskSettings, Dataset, PreTrainedTokenizerBase, int], Prepared]
    warnings: Callable[[Prepared, int, TaskSettings], list[str]]
    build: Callable[[str, Sequence[str], int], BertForSequenceClassification]
    objective: Callable[[Prepared, TaskSettings], Objective]
    conclude: Callable[..., TaskRecord]


ONE = Kind(
    load=lambda settings: load_source(
        settings.source, settings.text_column, settings.label_column, settings.how, settings.group_column
    ),
    prepare=prepare_for,
    warnings=lambda prepared, max_length, settings: warnings_about(
        prepared, max_length, settings.policy, settings.class_weights
    ),
    build=build_classifier,
    objective=one_label,
    conclude=conclude,
)
SEVERAL = Kind(
    load=load_several,
    prepare=prepare_several,
    warnings=warnings_about_several,
    build=build_multi_label,
    objective=several_labels,
    conclude=conclude_several,
)


def kind_for(settings: TaskSettings) -> Kind:
    """The kind of task that the settings ask for."""
    return ONE if settings.several is None else SEVERAL
