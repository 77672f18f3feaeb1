"""What the notebooks use and nothing else does: checks, exercise feedback, figures with alt text, escaped tables."""

from __future__ import annotations

import contextlib
import html
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check", "exercise", "expect_error", "live_picture", "show", "show_page", "show_table"]


def check(
    claim: str,
    value: float | int | str | bool,
    *,
    low: float | None = None,
    high: float | None = None,
    equals: object = None,
    skip: bool = False,
) -> None:
    """Print one line when ``value`` bears out the claim; raise AssertionError with the value when it does not.

    Give ``low`` and/or ``high`` (inclusive), or ``equals``; a bare ``value`` must be True. The line shows the bounds
    and never the value, so it reads the same on every machine. ``skip=True`` prints that the claim was not examined:
    for claims about learned quality in a run too small to learn.
    """
    if skip:
        print(f"– {claim}: not examined in this small run")
        return
    if low is None and high is None and equals is None:
        equals = True
    bounds = _describe(low, high, equals)
    if not _holds(value, low, high, equals):
        raise AssertionError(f"{claim}: the value is {value!r}, expected {bounds}")
    print(f"✓ {claim}" + ("" if equals is True else f" ({bounds})"))


def _holds(value: Any, low: float | None, high: float | None, equals: object) -> bool:
    if equals is not None:
        return bool(value == equals)
    number = float(value)
    return not math.isnan(number) and (low is None or number >= low) and (high is None or number <= high)


def _describe(low: float | None, high: float | None, equals: object) -> str:
    if equals is not None:
        return f"exactly {equals}"
    parts = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    return " and ".join(part for part in parts if part)


@contextlib.contextmanager
def exercise(name: str) -> Iterator[None]:
    """Feedback on an answer: the block asserts what must hold, each assertion with a message that says what is wrong.

    Prints ``Exercise <name>: correct`` or ``not yet`` with the message; a mistake in the answer's code is reported the
    same way, so that the rest of the notebook still runs.
    """
    try:
        yield
    except AssertionError as problem:
        print(f"Exercise {name}: not yet. {str(problem) or 'A check failed.'}")
    except NameError as problem:
        print(f"Exercise {name}: not yet. {problem}: fill in the cell above and run it first.")
    except Exception as problem:
        print(f"Exercise {name}: not yet. Your code raised {type(problem).__name__}: {problem}")
    else:
        print(f"Exercise {name}: correct")


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG; ``alt`` says in words what it shows, for people who cannot see it."""
    _publish_figure(figure, alt)


def live_picture(alt: str) -> Callable[[Figure], None]:
    """A function that shows a figure and, called again, replaces it: one picture on the page, and one when stored.

    ``alt`` says in words what all these figures show.
    """
    place, shown = uuid4().hex, False

    def draw(figure: Figure) -> None:
        nonlocal shown
        _publish_figure(figure, alt, transient={"display_id": place}, update=shown)
        shown = True

    return draw


def _publish_figure(figure: Figure, alt: str, **place: Any) -> None:
    from IPython.display import publish_display_data

    png = io.BytesIO()
    figure.savefig(png, format="png")
    data = {"image/png": png.getvalue(), "text/plain": f"Figure: {alt}"}
    publish_display_data(data, metadata={"image/png": {"alt": alt}}, **place)


def show_table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> None:
    """Display rows as an HTML table with every cell escaped, so that no text of a data set can act as a page."""
    from IPython.display import publish_display_data

    cells = [[f"{cell}" for cell in row] for row in rows]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headers)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    plain = "\n".join(" | ".join(row) for row in [list(headers), *cells])
    publish_display_data({"text/html": table, "text/plain": plain})


def show_page(page: str) -> None:
    """Display what an HTML page has between ``<main>`` and ``</main>``; its values must be escaped already."""
    from IPython.display import publish_display_data

    shown = page[page.index("<main>") + len("<main>") : page.index("</main>")].strip()
    paragraphs = [" ".join(re.sub(r"<[^>]*>", "", part).split()) for part in shown.split("</p>")]
    publish_display_data({"text/html": shown, "text/plain": html.unescape("\n".join(filter(None, paragraphs)))})


@contextlib.contextmanager
def expect_error(*kinds: type[Exception]) -> Iterator[None]:
    """Run a mistake on purpose: print the error that it raises; fail when it raises none or another kind.

    Only the first line of the message is printed, since the rest often holds addresses or paths.
    """
    try:
        yield
    except kinds as error:
        first_line = (str(error).strip().splitlines() or ["(no message)"])[0]
        print(f"{type(error).__name__}: {first_line}")
    else:
        raise AssertionError(f"this was expected to raise {' or '.join(kind.__name__ for kind in kinds)}, and did not")
