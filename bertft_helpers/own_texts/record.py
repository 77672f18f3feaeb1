"""A finished run in one piece: what the report is written from."""

from __future__ import annotations

import dataclasses
from typing import Any

from transformers import BertForSequenceClassification

from bertft_helpers.evaluation import Predictions
from bertft_helpers.history import History
from bertft_helpers.own_texts.baselines import Baseline
from bertft_helpers.own_texts.prepared import Prepared
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.several.baselines import Method


@dataclasses.dataclass(frozen=True)
class TaskRecord:
    """A finished run: what went in, the model, its history and predictions, the baselines, scores and costs.

    ``predictions`` hold the logits as the model gives them, without the temperature."""

    settings: TaskSettings
    max_length: int
    prepared: Prepared
    model: BertForSequenceClassification
    history: History
    predictions: dict[str, Predictions]
    baselines: list[Baseline] | list[Method]
    results: dict[str, Any]
