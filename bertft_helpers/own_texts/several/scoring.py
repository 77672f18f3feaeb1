"""A trained classifier for several labels scored on other labelled texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.scores import BLOCK, numbers_of
from bertft_helpers.own_texts.several.classifier import SeveralLabels
from bertft_helpers.own_texts.several.scores import scores_of_sets
from bertft_helpers.own_texts.several.sources import Listed
from bertft_helpers.reading.labels import order_names
from bertft_helpers.several_labels import label_rows
from bertft_helpers.validation import is_blank


def score_several(classifier: SeveralLabels, listed: Listed) -> dict[str, Any]:
    """Scores as ``scores.scores_of_sets`` gives them, and ``without_text``, the number of rows left out.

    Texts are predicted in blocks, of which only the answers are kept. Raises UserError for labels that the model does
    not know, and when no text is left.
    """
    names = classifier.label_names
    numbers_of(order_names(name for own in listed.labels for name in own), names)
    filled = [row for row, text in enumerate(listed.texts) if not is_blank(classifier.prepare(text))]
    if not filled:
        raise UserError(f"none of the {len(listed.texts)} rows has a text")
    blocks = (filled[start : start + BLOCK] for start in range(0, len(filled), BLOCK))
    said = [one.labels for rows in blocks for one in classifier.predict([listed.texts[row] for row in rows])]
    targets, answers = (
        np.array(label_rows(lists, names), dtype=bool) for lists in ([listed.labels[row] for row in filled], said)
    )
    scores = scores_of_sets(targets, answers, classifier.named_thresholds)
    return {**scores, "without_text": len(listed.texts) - len(filled)}
