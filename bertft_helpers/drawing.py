"""The drawing behind ``diagrams`` and ``sketches``: a sheet in inches that takes blocks, arrows and texts.

A sheet grows with what is drawn on it, so a long token widens its column instead of leaving the figure. It ends as a
light card with round corners, which can be read on a light page and on a dark one. y grows downwards, as on paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

Point = tuple[float, float]

PAPER, INK, FAINT = "#FCFBF8", "#22303C", "#5B6975"
# role -> (fill, edge): one colour for one meaning in all lessons
ROLES = {
    "plain": ("#FFFFFF", "#8A97A3"),
    "token": ("#D6E8F7", "#0072B2"),
    "position": ("#D5F0E5", "#009E73"),
    "segment": ("#F5DFEC", "#B4598F"),
    "frozen": ("#E3E8ED", "#7C8B99"),
    "trained": ("#FDE6BF", "#D98B00"),
    "padding": ("#F3F2EE", "#C4C1B8"),
    "loss": ("#FADDD1", "#D55E00"),
}
SMALLEST, NORMAL, TITLE = 9, 10.5, 13  # points
LINE = 0.2  # inches from one line of text to the next
MARGIN = 0.3  # inches of card around what is drawn


class Box(NamedTuple):
    """Where a block lies: its upper left corner and its size, in inches."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> Point:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2


@lru_cache(maxsize=4096)
def width_of(text: str, size: float = NORMAL) -> float:
    """The width of the longest line of a text in inches, set in points of ``size``."""
    # a dollar sign would start a formula; an S is as wide
    lines = [line.replace("$", "S").replace("\\", "/").replace(" ", "n") for line in text.split("\n")]
    return max((TextPath((0, 0), line, size=size).get_extents().width for line in lines if line), default=0) / 72


def widest(texts: Sequence[str], size: float = NORMAL, least: float = 0.5) -> float:
    """The width of a column of blocks that holds each of these texts."""
    return max([least, *(width_of(text, size) + 0.24 for text in texts)])


def shortened(text: str, letters: int = 28) -> str:
    """The text, or its beginning with an ellipsis when it has more letters than that."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


class Sheet:
    """A drawing in inches. Draw with the methods in any order, then take ``figure()``."""

    def __init__(self) -> None:
        self._figure = Figure(dpi=100, facecolor="none")
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._corners: list[Point] = []

    def block(
        self,
        x: float,
        y: float,
        width: float,
        height: float = 0.4,
        text: str = "",
        role: str = "plain",
        size: float = NORMAL,
        weight: str = "normal",
    ) -> Box:
        """A rounded block in the colours of its role, with a centred text."""
        fill, edge = ROLES[role]
        style = f"round,pad=0,rounding_size={min(0.09, height / 3, width / 3)}"
        hatch: dict[str, Any] = {"hatch": "////", "hatch_linewidth": 0.5} if role == "padding" and not text else {}
        self._add(FancyBboxPatch((x, y), width, height, style, fc=fill, ec=edge, lw=1.2, zorder=2, **hatch))
        box = self._grow(Box(x, y, width, height))
        if text:
            self.text(box.middle, text, size=size, weight=weight)
        return box

    def disc(self, middle: Point, across: float, down: float) -> None:
        """A white ellipse behind everything else that is drawn, of half the width ``across`` and height ``down``."""
        self._add(Ellipse(middle, 2 * across, 2 * down, fc="#FFFFFF", ec="#DAD6CC", lw=1, zorder=0.5))
        self._grow(Box(middle[0] - across, middle[1] - down, 2 * across, 2 * down))

    def bar(self, box: Box, share: float, role: str, strength: float = 0.35) -> None:
        """Fill the share (0 to 1) of a block from its left edge, below its text, as opaque as ``strength`` says."""
        inner = (box.x + 0.04, box.y + 0.02), max(share, 0) * (box.width - 0.08), box.height - 0.04
        self._add(Rectangle(*inner, fc=ROLES[role][1], alpha=strength, lw=0, zorder=2.5))

    def squares(self, at: Point, count: int, side: float, role: str) -> None:
        """A line of squares that stand for so many tokens: filled, or pale for padding. Thousands are drawn quickly."""
        fill, edge = ROLES[role]
        paint: dict[str, Any] = (
            {"fc": fill, "ec": edge, "lw": 0.6} if role == "padding" else {"fc": edge, "ec": PAPER, "lw": 0.3}
        )
        (x, y), width = at, 0.84 * side
        style = f"round,pad=0,rounding_size={side / 5}"
        squares = [FancyBboxPatch((x + side * place, y), width, width, style) for place in range(count)]
        self._axes.add_collection(PatchCollection(squares, zorder=2, **paint))
        self._grow(Box(x, y, side * count, width))

    def text(
        self,
        at: Point,
        text: str,
        size: float = NORMAL,
        align: str = "center",
        colour: str = INK,
        weight: str = "normal",
    ) -> None:
        """Text around a point, or beginning (``left``) or ending (``right``) there; several lines with newlines."""
        across, high = width_of(text, size) * (1.08 if weight == "bold" else 1), LINE * (text.count("\n") + 1)
        left = at[0] - {"left": 0, "center": across / 2, "right": across}[align]
        self._grow(Box(left, at[1] - high / 2, across, high))
        look: dict[str, Any] = {"fontsize": size, "color": colour, "fontweight": weight, "ha": align, "va": "center"}
        self._axes.text(*at, text, zorder=4, parse_math=False, linespacing=1.25, **look)

    def arrow(
        self, start: Point, end: Point, dashed: bool = False, bend: float = 0.0, colour: str = FAINT, head: bool = True
    ) -> None:
        """Where data go; dashed: where gradients go. ``bend`` is the bulge as a share of the length."""
        look: dict[str, Any] = {
            "color": colour,
            "lw": 1.4,
            "ls": (0, (4, 2.5)) if dashed else "-",
            "shrinkA": 0,
            "shrinkB": 0,
        }
        style = "-|>,head_length=0.45,head_width=0.22" if head else "-"
        curve = f"arc3,rad={bend:.3f}"
        patch = FancyArrowPatch(
            start, end, arrowstyle=style, connectionstyle=curve, mutation_scale=11, zorder=3, **look
        )
        self._axes.add_patch(patch)
        (x0, y0), (x1, y1) = start, end
        bulge = ((x0 + x1) / 2 + bend / 2 * (y1 - y0), (y0 + y1) / 2 - bend / 2 * (x1 - x0))
        self._corners += [start, end, bulge]

    def row(
        self,
        x: float,
        y: float,
        texts: Sequence[str],
        role: str = "plain",
        widths: Sequence[float] = (),
        gap: float = 0.1,
    ) -> list[Box]:
        """Blocks side by side, each as wide as its text or as given."""
        boxes = []
        for text, width in zip(texts, widths or [widest([text]) for text in texts], strict=True):
            boxes.append(self.block(x, y, width, text=text, role=role))
            x += width + gap
        return boxes

    def column(
        self,
        x: float,
        y: float,
        heading: str,
        texts: Sequence[str],
        role: str | Sequence[str] = "plain",
        least: float = 0.5,
    ) -> list[Box]:
        """Blocks below each other under a heading, all as wide as the widest text; one role for all, or one each."""
        width, roles = widest([*texts, heading], least=least), [role] * len(texts) if isinstance(role, str) else role
        self.text((x + width / 2, y - LINE * (heading.count("\n") + 1) / 2 - 0.06), heading, SMALLEST, colour=FAINT)
        return [
            self.block(x, y + 0.48 * place, width, text=text, role=own)
            for place, (text, own) in enumerate(zip(texts, roles, strict=True))
        ]

    def figure(self, title: str = "") -> Figure:
        """The finished drawing on its card, as large as what is on it, with a title above it."""
        left, top = (min(corner[axis] for corner in self._corners) for axis in (0, 1))
        if title:
            self.text((left, top - 0.3), title, size=TITLE, align="left", weight="bold")
        (left, right), (top, bottom) = (
            (min(along) - MARGIN, max(along) + MARGIN) for along in zip(*self._corners, strict=True)
        )
        self._figure.set_size_inches(right - left, bottom - top)
        self._axes.set(xlim=(left, right), ylim=(bottom, top))
        card = (left + 0.02, top + 0.02), right - left - 0.04, bottom - top - 0.04
        self._add(FancyBboxPatch(*card, "round,pad=0,rounding_size=0.16", fc=PAPER, ec="#DAD6CC", lw=1, zorder=0))
        return self._figure

    def _add(self, patch: Ellipse | FancyBboxPatch | Rectangle) -> None:
        self._axes.add_patch(patch)

    def _grow(self, box: Box) -> Box:
        self._corners += [(box.x, box.y), (box.right, box.bottom)]
        return box
