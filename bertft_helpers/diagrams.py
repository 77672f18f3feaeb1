"""Schematics of BERT itself: each function takes a lesson's real tokens, shapes and numbers and returns a Figure.

``lessons.show`` displays it with alt text. ``sketches`` draws what surrounds the model: data, memory, loops, time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bertft_helpers.drawing import FAINT, LINE, NORMAL, ROLES, SMALLEST, Box, Sheet, shortened, widest

__all__ = [
    "WIDEST",
    "Part",
    "Pieces",
    "Task",
    "attention_head",
    "embedding_sum",
    "heads_by_task",
    "label_alignment",
    "masked_attention",
    "stack",
    "stacks",
    "tokenization",
]

Pieces = Sequence[tuple[str, int]]  # (piece, id)

WIDEST = 9.5  # inches; what is wider is broken into several lines


class Part(NamedTuple):
    """One block of a stack: its name, the shape that leaves it, its role (a key of ``drawing.ROLES``)."""

    name: str
    shape: str = ""
    role: str = "plain"


class Task(NamedTuple):
    """What a head does: which vectors it reads ("first", "mean", "each"), its shape ("": none), an answer it gives."""

    name: str
    reads: str
    head: str
    answer: str


def stack(parts: Sequence[Part], title: str = "", gradient: bool = False) -> Figure:
    """Blocks on top of each other, the input at the bottom; beside each arrow the shape that flows there.

    ``gradient`` adds the way back, dashed: from the top down to the lowest trained part, below which nothing has to
    be computed.
    """
    sheet, width = Sheet(), widest([part.name for part in parts], least=3.0)
    boxes: list[Box] = []
    for place, part in enumerate(reversed(parts)):
        boxes.insert(0, sheet.block(0, 0.82 * place, width, 0.46, part.name, part.role))
    for part, lower, upper in zip(parts, boxes, boxes[1:], strict=False):
        sheet.arrow((width / 2, lower.y), (width / 2, upper.bottom))
        sheet.text((width / 2 + 0.14, lower.y - 0.18), part.shape, SMALLEST, "left", FAINT)
    if boxes and parts[-1].shape:
        top = boxes[-1].y
        sheet.arrow((width / 2, top), (width / 2, top - 0.36))
        sheet.text((width / 2 + 0.14, top - 0.18), parts[-1].shape, SMALLEST, "left", FAINT)
    if gradient:
        _gradient(sheet, parts, boxes)
    return sheet.figure(title)


def _gradient(sheet: Sheet, parts: Sequence[Part], boxes: Sequence[Box]) -> None:
    trained = [box for part, box in zip(parts, boxes, strict=True) if part.role == "trained"]
    if not trained:
        return
    colour, end = ROLES["loss"][1], trained[0].middle[1]
    sheet.arrow((-0.35, boxes[-1].y), (-0.35, end), dashed=True, colour=colour)
    sheet.text((-0.5, (boxes[-1].y + end) / 2), "gradient", SMALLEST, "right", colour)


def stacks(columns: Mapping[str, Sequence[Part]], title: str = "") -> Figure:
    """Several stacks side by side, the input at the bottom, so that they can be compared block by block.

    ``columns`` maps a name, written on top, to its parts. Shapes are left out, and no arrow says what flows where:
    ``stack`` shows both for one model.
    """
    sheet, x = Sheet(), 0.0
    for name, parts in columns.items():
        width = widest([part.name for part in parts] + [name], least=1.0)
        for place, part in enumerate(reversed(parts)):
            sheet.block(x, 0.42 * place, width, 0.36, part.name, part.role)
        lines = name.count("\n") + 1
        sheet.text((x + width / 2, -0.1 - LINE * lines / 2), name, weight="bold")
        x += width + 0.2
    return sheet.figure(title)


def attention_head(
    tokens: Sequence[str], looking: int, query: ArrayLike, keys: ArrayLike, values: ArrayLike, title: str = ""
) -> Figure:
    """One query of one head, from scores to sum. ``query`` is [size], ``keys`` and ``values`` are [length, size]."""
    query, keys, values = np.asarray(query, float), np.asarray(keys, float), np.asarray(values, float)
    scores = keys @ query / np.sqrt(len(query))
    weights = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    parts = weights[:, None] * values
    sheet, names = Sheet(), [shortened(token, 18) for token in tokens]
    token = sheet.column(0, 0, "token", names, "token")
    key = sheet.column(token[0].right + 0.3, 0, "key", [_vector(row) for row in keys])
    score = sheet.column(key[0].right + 0.45, 0, f"score\nquery · key ÷ √{len(query)}", [f"{s:.2f}" for s in scores])
    weight = sheet.column(score[0].right + 0.45, 0, "weight\nsoftmax", [f"{w:.2f}" for w in weights], least=1.1)
    value = sheet.column(weight[0].right + 0.4, 0, "value", [_vector(row) for row in values])
    product = sheet.column(value[0].right + 0.4, 0, "weight × value", [_vector(row, 2) for row in parts])
    for places in zip(token, key, score, weight, value, product, strict=True):
        _across(sheet, *places)
    for box, share in zip(weight, weights, strict=True):
        sheet.bar(box, share, "trained")
    _query(sheet, names[looking], _vector(query), token[0], key[0], score[0])
    last = product[-1]
    total = sheet.block(
        last.x, last.bottom + 0.42, last.width, text=_vector(parts.sum(0), 2), role="token", weight="bold"
    )
    sheet.arrow((last.middle[0], last.bottom + 0.06), (last.middle[0], total.y))
    sheet.text((total.x - 0.15, total.middle[1]), f"their sum: what {names[looking]} receives", NORMAL, "right")
    return sheet.figure(title)


def _across(sheet: Sheet, token: Box, key: Box, score: Box, weight: Box, value: Box, product: Box) -> None:
    for left, right in ((token, key), (key, score), (score, weight)):
        sheet.arrow((left.right + 0.04, left.middle[1]), (right.x - 0.02, left.middle[1]))
    for left, sign in ((weight, "×"), (value, "=")):
        sheet.text((left.right + 0.2, left.middle[1]), sign, NORMAL + 2)


def _query(sheet: Sheet, name: str, vector: str, token: Box, key: Box, score: Box) -> None:
    y = -1.35
    asks = sheet.block(token.x, y, widest([name], least=token.width), text=name, role="token")
    query = sheet.block(max(key.x, asks.right + 0.3), y, widest([vector], least=key.width), text=vector, role="trained")
    sheet.arrow((asks.right + 0.04, asks.middle[1]), (query.x - 0.02, asks.middle[1]))
    sheet.text((query.middle[0], y - 0.16), "query", SMALLEST, colour=FAINT)
    x = max(score.middle[0], query.right + 0.2)
    sheet.arrow((query.right + 0.04, query.middle[1]), (x, query.middle[1]), head=False)
    sheet.arrow((x, query.middle[1]), (x, -0.55))


def _vector(numbers: ArrayLike, digits: int = 1) -> str:
    shown = (f"{round(number, digits) + 0.0:.{digits}f}".replace("-", "−") for number in np.asarray(numbers).tolist())
    return f"({', '.join(shown)})"


def embedding_sum(tokens: Sequence[str], segments: Sequence[int] = (), title: str = "") -> Figure:
    """What enters the first layer: for each token its word vector, its position's and its segment's, added up."""
    sheet, names = Sheet(), [shortened(token, 16) for token in tokens]
    segments = list(segments) or [0] * len(names)
    widths = [widest([name], least=0.55) for name in names]
    line_of = _lines(widths, 0.1, WIDEST)
    for number, places in enumerate(line_of):
        columns = [(names[place], str(place), "AB"[segments[place]]) for place in places]
        _summed(sheet, 2.75 * number, columns, [widths[place] for place in places])
    return sheet.figure(title)


def _summed(sheet: Sheet, y: float, columns: Sequence[tuple[str, str, str]], widths: Sequence[float]) -> None:
    addends = {"token": "word", "position": "+ position", "segment": "+ segment"}
    for level, ((role, label), texts) in enumerate(zip(addends.items(), zip(*columns, strict=True), strict=True)):
        sheet.row(0, y + 0.5 * level, texts, role, widths)
        sheet.text((-0.15, y + 0.5 * level + 0.2), label, NORMAL, "right", ROLES[role][1])
    total = sheet.row(0, y + 1.72, [""] * len(columns), "plain", widths)
    sheet.text((-0.15, total[0].middle[1]), "= sum", NORMAL, "right")
    for box in total:
        sheet.arrow((box.middle[0], box.y - 0.29), (box.middle[0], box.y - 0.02))
        for third, role in enumerate(addends):
            sheet.bar(Box(box.x + 0.04, box.y + 0.05 + third * 0.1, box.width - 0.08, 0.1), 1.0, role)


def _lines(widths: Sequence[float], gap: float, most: float) -> list[list[int]]:
    """Places broken into lines that are at most so wide."""
    lines: list[list[int]] = [[]]
    used = 0.0
    for place, width in enumerate(widths):
        if lines[-1] and used + width > most:
            lines.append([])
            used = 0.0
        lines[-1].append(place)
        used += width + gap
    return lines


def tokenization(words: Sequence[tuple[str, Pieces]], title: str = "") -> Figure:
    """From words to pieces to ids: ``words`` lists (word, [(piece, id), …]) in reading order."""
    return _pieces_below(words, "ids", title)


def label_alignment(words: Sequence[tuple[str, Sequence[tuple[str, str]]]], title: str = "") -> Figure:
    """From words to pieces to labels: ``words`` lists (word, [(piece, label), …]); a piece without one has ""."""
    return _pieces_below(words, "labels", title)


def _pieces_below(words: Sequence[tuple[str, Sequence[tuple[str, object]]]], below: str, title: str) -> Figure:
    sheet = Sheet()
    spans = [[widest([shortened(piece, 16), str(number)]) for piece, number in pieces] for _, pieces in words]
    totals = [
        max(sum(span) + 0.06 * (len(span) - 1), widest([shortened(word, 20)]))
        for (word, _), span in zip(words, spans, strict=True)
    ]
    for number, places in enumerate(_lines(totals, 0.18, WIDEST)):
        x, top = 0.0, 2.2 * number
        for label, level in (("word", 0), ("pieces", 0.68), (below, 1.36)):
            sheet.text((-0.15, top + level + 0.2), label, NORMAL, "right", FAINT)
        for place in places:
            word, pieces = words[place]
            _word(sheet, (x, top), shortened(word, 20), pieces, spans[place], totals[place])
            x += totals[place] + 0.18
    return sheet.figure(title)


def _word(
    sheet: Sheet,
    at: tuple[float, float],
    word: str,
    pieces: Sequence[tuple[str, object]],
    span: Sequence[float],
    total: float,
) -> None:
    x, y = at
    sheet.block(x, y, total, text=word)
    extra = (total - sum(span) - 0.06 * (len(span) - 1)) / len(span)
    widths = [width + extra for width in span]
    upper = sheet.row(x, y + 0.68, [shortened(piece, 16) for piece, _ in pieces], "token", widths, gap=0.06)
    for above, width, (_, number) in zip(upper, widths, pieces, strict=True):
        role = "padding" if number == "" else "trained" if isinstance(number, str) else "frozen"
        below = sheet.block(above.x, y + 1.36, width, text=str(number), role=role)
        sheet.arrow((above.middle[0], y + 0.42), (above.middle[0], above.y - 0.02))
        sheet.arrow((above.middle[0], above.bottom + 0.02), (below.middle[0], below.y - 0.02))


def masked_attention(tokens: Sequence[str], scores: ArrayLike, mask: Sequence[int], title: str = "") -> Figure:
    """A mask at work on one row of attention: scores, minus infinity where ``mask`` is 0, the weights either way."""
    scores, kept = np.asarray(scores, float), np.asarray(mask, bool)
    sheet, names = Sheet(), [shortened(token, 18) for token in tokens]
    roles = ["token" if keep else "padding" for keep in kept]
    token = sheet.column(0, 0, "token", names, roles)
    score = sheet.column(token[0].right + 0.35, 0, "score", [f"{s:.2f}" for s in scores])
    added = sheet.column(score[0].right + 0.4, 0, "mask", ["0" if keep else "−∞" for keep in kept])
    heading, least = "weight\nwith mask", 1.1
    masked = sheet.column(added[0].right + 0.45, 0, heading, _percent(np.where(kept, scores, -np.inf)), least=least)
    plain = sheet.column(masked[0].right + 0.35, 0, "weight\nwithout", _percent(scores), least=least)
    for column, logits in ((masked, np.where(kept, scores, -np.inf)), (plain, scores)):
        for box, share, keep in zip(column, _softmax(logits), kept, strict=True):
            sheet.bar(box, share, "trained" if keep else "loss")
    for a, b, c in zip(score, added, masked, strict=True):
        sheet.text((a.right + 0.2, a.middle[1]), "+", NORMAL + 1)
        sheet.arrow((b.right + 0.04, b.middle[1]), (c.x - 0.02, b.middle[1]))
    return sheet.figure(title)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _percent(logits: np.ndarray) -> list[str]:
    return [f"{share:.0%}" for share in _softmax(logits)]


def heads_by_task(tasks: Sequence[Task], title: str = "", tokens: int = 4) -> Figure:
    """One panel per task: the encoder's vectors, which of them the head reads, the head, and an answer."""
    sheet, span = Sheet(), 0.46 * tokens - 0.1
    width = max(widest([text for task in tasks for text in (task.head, task.answer, task.name)]), span + 0.2)
    across = max(1, int((WIDEST + 0.4) // (width + 0.4)))
    for number, task in enumerate(tasks):
        _panel(sheet, (width + 0.4) * (number % across), 2.95 * (number // across), width, task, tokens)
    return sheet.figure(title)


def _panel(sheet: Sheet, x: float, y: float, width: float, task: Task, tokens: int) -> None:
    middle, start = x + width / 2, x + (width - 0.46 * tokens + 0.1) / 2
    sheet.text((middle, y), task.name, NORMAL + 0.5, weight="bold")
    sheet.block(x, y + 0.2, width, text=task.answer)
    head = sheet.block(x, y + 0.9, width, text=task.head or "no head", role="trained" if task.head else "plain")
    sheet.arrow((middle, head.y - 0.02), (middle, y + 0.62))
    for place in range(tokens):
        read = task.reads != "first" or place == 0
        vector = sheet.block(start + 0.46 * place, y + 1.65, 0.36, 0.3, role="token" if read else "frozen")
        if read:
            sheet.arrow((vector.middle[0], vector.y - 0.02), (vector.middle[0], head.bottom + 0.02))
    sheet.block(x, y + 2.05, width, 0.36, "encoder", "frozen")
