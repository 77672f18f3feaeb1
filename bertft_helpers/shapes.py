"""Schematics of scores: a row of them per text, per token, or one per sentence. Each function returns a Figure.

``lessons.show`` displays it with alt text. ``diagrams`` draws BERT itself, ``sketches`` what surrounds it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bertft_helpers.drawing import FAINT, LINE, NORMAL, SMALLEST, Box, Sheet, shortened, widest, width_of

__all__ = ["classification_head", "shaded_sentences", "start_and_end"]

_LETTERS, _LONGEST = 88, 20  # of a line of a sentence, and of a word: one that is longer is cut
_TALL, _BEHIND = 2.0, 3  # inches of a token's vector; how many other texts of the batch are hinted at


def classification_head(
    tokens: Sequence[str], labels: Sequence[str], batch: int, width: int, pooling: str = "pooling", title: str = ""
) -> Figure:
    """From a vector per token to a vector per text to a score per class, in the shapes that a batch really has.

    In front stands one text with its tokens; behind it, hinted at, the other texts of the batch of ``batch`` texts.
    ``width`` is the length of a vector. Padding is drawn as such.
    """
    sheet = Sheet()
    hidden = _hidden(sheet, [shortened(token, 14) for token in tokens])
    _caption(sheet, hidden, [batch, len(tokens), width], "a vector for each token")
    pooled = _pile(sheet, Box(hidden.right + max(1.2, width_of(pooling) + 0.5), 0, 0.5, _TALL), "token")
    _caption(sheet, pooled, [batch, width], "a vector for each text")
    _step(sheet, hidden, pooled, pooling)
    linear = f"linear {width} → {len(labels)}"
    scores = _scores(sheet, pooled.right + width_of(linear) + 0.7, labels)
    _caption(sheet, scores, [batch, len(labels)], "a score for each class")
    _step(sheet, pooled, scores, linear)
    return sheet.figure(title)


def start_and_end(tokens: Sequence[str], starts: ArrayLike, ends: ArrayLike, question: int, title: str = "") -> Figure:
    """Where an answer begins and where it ends: for each token both probabilities. The first ``question`` are asked."""
    sheet, names = Sheet(), [shortened(token, 18) for token in tokens]
    roles = ["segment" if place < question else "token" for place in range(len(names))]
    x = sheet.column(0, 0, "token", names, roles)[0].right + 0.35
    for heading, shares in (("begins here", np.asarray(starts, float)), ("ends here", np.asarray(ends, float))):
        column = sheet.column(x, 0, heading, [f"{share:.0%}" for share in shares], least=1.8)
        for box, share in zip(column, shares, strict=True):
            sheet.bar(box, share, "trained")
        x = column[0].right + 0.25
    return sheet.figure(title)


def _hidden(sheet: Sheet, names: Sequence[str]) -> Box:
    widths = [widest([name], SMALLEST, least=0.42) for name in names]
    whole = _pile(sheet, Box(0, 0, sum(widths) + 0.06 * (len(names) - 1), _TALL), "plain")
    x = 0.0
    for name, width in zip(names, widths, strict=True):
        sheet.block(x, 0, width, _TALL, role="padding" if name == "[PAD]" else "token")
        sheet.text((x + width / 2, _TALL + 0.16), name, SMALLEST)
        x += width + 0.06
    return whole


def _pile(sheet: Sheet, front: Box, role: str) -> Box:
    """A block with others behind it; the front one."""
    for depth in range(_BEHIND, -1, -1):
        sheet.block(front.x + 0.09 * depth, front.y - 0.09 * depth, front.width, front.height, role=role)
    return front


def _scores(sheet: Sheet, x: float, labels: Sequence[str]) -> Box:
    """One small block per class, its name beside it; the box that holds the blocks."""
    height = 0.3 * len(labels)
    front = _pile(sheet, Box(x, (_TALL - height) / 2, 0.42, height), "trained")
    for place, label in enumerate(labels):
        row = sheet.block(x, front.y + 0.3 * place, front.width, 0.3, role="trained")
        sheet.text((x + front.width + 0.09 * _BEHIND + 0.12, row.middle[1]), shortened(label, 22), SMALLEST, "left")
    return front


def _step(sheet: Sheet, start: Box, end: Box, name: str) -> None:
    y, left, right = _TALL / 2, start.right + 0.09 * _BEHIND + 0.06, end.x - 0.06
    sheet.arrow((left, y), (right, y))
    sheet.text(((left + right) / 2, y - 0.18), name, SMALLEST)


def _caption(sheet: Sheet, box: Box, shape: Sequence[int], words: str) -> None:
    x, y = box.middle[0], max(box.bottom, _TALL) + 0.5
    sheet.text((x, y), str(list(shape)), NORMAL, weight="bold")
    sheet.text((x, y + 0.22), words, SMALLEST, colour=FAINT)


def shaded_sentences(
    sentences: Sequence[str], scores: Sequence[float], notes: Sequence[str] = (), title: str = ""
) -> Figure:
    """The sentences of a text below each other with their scores: the highest is the darkest, the lowest white.

    ``notes`` are written on their right, one for each sentence.
    """
    sheet, y = Sheet(), 0.0
    texts = [_wrapped(sentence) for sentence in sentences]
    width, lowest = widest(texts), min(scores)
    spread = max(scores) - lowest or 1.0
    for text, score, note in zip(texts, scores, notes or [""] * len(texts), strict=True):
        box = sheet.block(0, y, width, 0.22 + LINE * (text.count("\n") + 1), role="plain")
        sheet.bar(box, 1, "trained", strength=0.75 * (score - lowest) / spread)
        sheet.text((0.12, box.middle[1]), text, align="left")
        sheet.text((-0.12, box.middle[1]), f"{score:.2f}", align="right")
        if note:
            sheet.text((width + 0.12, box.middle[1]), note, SMALLEST, "left", FAINT)
        y = box.bottom + 0.08
    return sheet.figure(title)


def _wrapped(sentence: str) -> str:
    words = " ".join(shortened(word, _LONGEST) for word in sentence.split())
    return "\n".join(textwrap.wrap(words, _LETTERS)) or " "
