"""What is learned from texts with several labels: a yes-or-no answer for each label."""

from __future__ import annotations

from bertft_helpers.losses import classification_loss
from bertft_helpers.own_texts.prepared import Prepared
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.training import Objective
from bertft_helpers.several_labels import YesOrNo


def several_labels(_prepared: Prepared, _settings: TaskSettings) -> Objective:
    """Binary cross-entropy, by which the best epoch is known too: with rare labels nearly every no is right."""
    return Objective(YesOrNo, classification_loss, "validation_loss", "yes or no right")
