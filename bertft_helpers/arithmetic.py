"""Schematics of what training computes: a loss, a clipped gradient, a step of two weights; all return Figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bertft_helpers.drawing import FAINT, NORMAL, ROLES, SMALLEST, Box, Point, Sheet, shortened, widest

__all__ = ["PLANE", "Move", "clipping", "cross_entropy", "row_and_column", "weight_step"]

PLANE = 3.6  # inches along the longer side of the plane of two weights


class Move(NamedTuple):
    """A part of a step: its name, how far it moves the first and the second weight, a role of ``drawing.ROLES``."""

    name: str
    by: tuple[float, float]
    role: str = "trained"


def weight_step(
    start: tuple[float, float], moves: Sequence[Move], beside: Sequence[Move] = (), title: str = ""
) -> Figure:
    """Two weights as a point in a plane that ``moves`` carry from ``start``, each from where the last one ended.

    ``beside`` are drawn dashed, all from ``start``: what another rule would have done.
    """
    ends = np.cumsum([start, *(move.by for move in moves)], axis=0)
    others = np.array([np.add(start, move.by) for move in beside]).reshape(-1, 2)
    points = np.vstack([[(0, 0)], ends, others])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = PLANE / (high - low).max()

    def place(point: ArrayLike) -> Point:
        across, up = (np.asarray(point) - low) * scale
        return float(across) + 0.25, float((high - low)[1] * scale - up) + 0.25

    sheet, (width, height) = Sheet(), (high - low) * scale + 0.5
    plane = sheet.block(0, 0, float(width), float(height))
    _axes(sheet, plane, place((0, 0)))
    for (begin, end), move in zip(pairwise(ends), moves, strict=True):
        sheet.arrow(place(begin), place(end), colour=ROLES[move.role][1])
    for end, move in zip(others, beside, strict=True):
        sheet.arrow(place(start), place(end), dashed=True, colour=ROLES[move.role][1])
    x, y = place(start)
    sheet.block(x - 0.06, y - 0.06, 0.12, 0.12, role="token")
    _start_and_key(sheet, plane.right + 0.3, [*moves, *beside], len(moves))
    return sheet.figure(title)


def clipping(long: Point, short: Point, threshold: float, title: str = "") -> Figure:
    """The gradients of two weights as arrows: a long one, what two ways of clipping make of it, and a short one.

    By norm it ends on the circle of radius ``threshold``, by value in the square of the same half width.
    """
    across, up = long
    factor = min(1.0, threshold / float(np.hypot(across, up)))
    by_norm = factor * across, factor * up
    by_value = max(-threshold, min(threshold, across)), max(-threshold, min(threshold, up))
    moves = [
        Move(f"a long gradient: {_vector(long)}", long, "loss"),
        Move(f"clipped by norm: {_vector(by_norm)}", by_norm, "trained"),
        Move(f"clipped by value: {_vector(by_value)}", by_value, "segment"),
        Move(f"a short gradient stays as it is: {_vector(short)}", short, "position"),
    ]
    sheet, scale = Sheet(), PLANE / (threshold + max(abs(across), abs(up), threshold))
    radius = scale * threshold
    sheet.disc((0, 0), radius, radius)
    corners = [(-radius, -radius), (radius, -radius), (radius, radius), (-radius, radius), (-radius, -radius)]
    for start, end in pairwise(corners):
        sheet.arrow(start, end, colour=ROLES["segment"][1], head=False)
    for move in moves:
        sheet.arrow((0, 0), (scale * move.by[0], -scale * move.by[1]), colour=ROLES[move.role][1])
    sheet.text((0, radius + 0.2), f"circle and square: {threshold:g}", SMALLEST, colour=FAINT)
    _key(sheet, scale * max(across, threshold) + 0.4, -radius, moves)
    return sheet.figure(title)


def _vector(point: Point) -> str:
    return f"({point[0]:.2f}, {point[1]:.2f}), length {np.hypot(*point):.2f}".replace("-", "−")


def _axes(sheet: Sheet, plane: Box, origin: Point) -> None:
    x, y = origin
    sheet.arrow((plane.x, y), (plane.right, y), colour="#C9D0D6", head=False)
    sheet.arrow((x, plane.y), (x, plane.bottom), colour="#C9D0D6", head=False)
    sheet.text((x, plane.bottom + 0.15), "0", SMALLEST, colour=FAINT)
    sheet.text((plane.x - 0.1, y), "0", SMALLEST, "right", FAINT)
    sheet.text((plane.x, plane.bottom + 0.38), "first weight →", SMALLEST, "left", FAINT)
    sheet.text((plane.x, plane.y - 0.16), "↑ second weight", SMALLEST, "left", FAINT)


def _start_and_key(sheet: Sheet, x: float, moves: Sequence[Move], solid: int) -> None:
    sheet.block(x + 0.19, 0.14, 0.12, 0.12, role="token")
    sheet.text((x + 0.65, 0.2), "where the two weights are now", NORMAL, "left")
    _key(sheet, x, 0.7, moves, solid)


def _key(sheet: Sheet, x: float, top: float, moves: Sequence[Move], solid: int | None = None) -> None:
    for row, move in enumerate(moves):
        y = top + 0.5 * row
        sheet.arrow((x, y), (x + 0.5, y), dashed=solid is not None and row >= solid, colour=ROLES[move.role][1])
        sheet.text((x + 0.65, y), move.name, NORMAL, "left")


def cross_entropy(names: Sequence[str], logits: ArrayLike, right: int, title: str = "") -> Figure:
    """From one text's ``logits`` [classes] to its loss: exponential, softmax, minus the logarithm for ``right``."""
    logits = np.asarray(logits, float)
    exponentials = np.exp(logits - logits.max())  # shifted, which changes no probability
    probabilities = exponentials / exponentials.sum()
    sheet, roles = Sheet(), ["token" if place == right else "plain" for place in range(len(logits))]
    name = sheet.column(0, 0, "class", [shortened(text, 18) for text in names], roles)
    logit = sheet.column(name[0].right + 0.35, 0, "logit", [_signed(value) for value in logits], roles)
    power = sheet.column(logit[0].right + 0.5, 0, "e to the logit", [_short(np.exp(v)) for v in logits], roles)
    share = sheet.column(
        power[0].right + 0.5, 0, "softmax\nits share of the sum", [f"{p:.3f}" for p in probabilities], roles, least=1.2
    )
    for boxes in zip(name, logit, power, share, strict=True):
        for left, into in pairwise(boxes):
            sheet.arrow((left.right + 0.04, left.middle[1]), (into.x - 0.02, left.middle[1]))
    for box, probability in zip(share, probabilities, strict=True):
        sheet.bar(box, probability, "trained")
    loss = f"−ln {probabilities[right]:.3f} = {-np.log(probabilities[right]):.3f}"
    chosen, width = share[right], widest([loss])
    end = sheet.block(chosen.right + 0.5, chosen.y, width, text=loss, role="loss", weight="bold")
    sheet.arrow((chosen.right + 0.04, chosen.middle[1]), (end.x - 0.02, end.middle[1]))
    sheet.text((end.middle[0], end.y - 0.16), "loss", SMALLEST, colour=FAINT)
    total = f"sum {_short(np.exp(logits).sum())}"
    sheet.text((power[0].middle[0], power[-1].bottom + 0.2), total, SMALLEST, colour=FAINT)
    return sheet.figure(title)


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _short(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value < 1e5 else f"{value:.1e}".replace("-", "−")


def row_and_column(counts: ArrayLike, names: Sequence[str], chosen: int, title: str = "") -> Figure:
    """A confusion matrix ``[true, predicted]`` in which one class's row and column stand out, and what they divide.

    The row holds all texts of the class, so it gives the recall; the column all that were called so: the precision.
    """
    sheet, table = Sheet(), np.asarray(counts)
    step = widest([*names, *(f"{count:,}" for count in table.flat)], least=0.8) + 0.06
    sheet.text((-0.15, -0.2), "true ↓   predicted →", SMALLEST, "right", FAINT)
    for number, name in enumerate(names):
        sheet.text((-0.15, 0.48 * number + 0.2), name, NORMAL, "right")
        sheet.text((step * number + step / 2 - 0.03, -0.2), name)
    for (row, column), count in np.ndenumerate(table):
        role = {(True, True): "trained", (True, False): "position", (False, True): "segment"}
        look = role.get((row == chosen, column == chosen), "plain")
        sheet.block(step * column, 0.48 * row, step - 0.06, text=f"{count:,}", role=look)
    hits = table[chosen, chosen]
    along, down = (f"{hits:,} of {total:,}" for total in (table[chosen].sum(), table[:, chosen].sum()))
    right, bottom = step * len(table), 0.48 * len(table)
    sheet.text((right + 0.1, 0.48 * chosen + 0.2), f"recall: {along}", NORMAL, "left", ROLES["position"][1])
    below = step * chosen + step / 2 - 0.03, bottom + 0.15
    sheet.text(below, f"precision: {down}", NORMAL, colour=ROLES["segment"][1])
    return sheet.figure(title)
