"""The site's first page: the picture, three doors, the applications, and every question with its lesson."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bertft_helpers.series.catalogue import APPLICATIONS, Lesson
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.overview import PICTURE, lessons_by_part, minutes_to_read

__all__ = ["landing_page", "page_name", "short_title", "toctree"]


def landing_page(lessons: Sequence[Lesson], pages: Mapping[str, str], books: Sequence[Path]) -> str:
    """The first page as Markdown; ``pages`` are the project's other pages, by the file that each is made from.

    What the project lacks (the picture, a door's page, applications, books) is left out.
    """
    doors = "".join(_DOOR.format(title=t, address=a, text=x) for t, a, x in _doors(lessons[0], pages))
    parts = [
        _TITLE,
        f"![{_ALT}]({PICTURE})" if f"notebooks/{PICTURE}" in pages else "",
        f'<nav class="doors" aria-label="Three ways in">{doors}</nav>',
        _applications(lessons),
        _offered_books(books),
        *_questions(lessons),
        *_toctrees(lessons, pages),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _doors(first: Lesson, pages: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    yield "Learn", f"{page_name(first)}.html", "Read the lessons in order, with the outputs of a real run."
    if "README.md" in pages:
        yield "Run", "project.html", "On your laptop, or on a GPU with bert-base-uncased."
    if "WORKSHOP.md" in pages:
        yield "Teach", "workshop.html", "Schedules, editions, slides and a hand-out."


def _applications(lessons: Sequence[Lesson]) -> str:
    """One sentence that links the lessons beyond text classification."""
    links = []
    for lesson in (lesson for lesson in lessons if lesson.place.startswith(APPLICATIONS)):
        name = short_title(lesson).partition(" · ")[2]
        links.append(f"[{name[0].lower()}{name[1:]}]({page_name(lesson)}.ipynb)")
    return f"Beyond classifying texts, with the same training loop: {', '.join(links)}." if links else ""


def _offered_books(books: Sequence[Path]) -> str:
    """One line of HTML that offers the lessons as books."""
    links = [f'<a download href="book/{path.name}">{path.suffix[1:].upper()}</a>' for path in books]
    return f'<p class="launch">To read without a network: {" · ".join(links)}</p>' if links else ""


def _questions(lessons: Sequence[Lesson]) -> Iterator[str]:
    """Each part with its questions, which are the links, and the minutes that each takes to read."""
    for part, members in lessons_by_part(lessons).items():
        yield f"## {part}\n\n" + "\n".join(map(_question, members))


def _question(lesson: Lesson) -> str:
    notebook = read_notebook(lesson.path)
    title = notebook.cells[0].source.splitlines()[0].split(" · ", 1)[1]
    return f"- [{lesson.number} · {title}]({page_name(lesson)}.ipynb), {minutes_to_read(notebook)} min"


def _toctrees(lessons: Sequence[Lesson], pages: Mapping[str, str]) -> Iterator[str]:
    for part, members in lessons_by_part(lessons).items():
        yield toctree(part, [f"{short_title(lesson)} <{page_name(lesson)}>" for lesson in members])
    documents = [page.removesuffix(".md") for page in pages.values() if page.endswith(".md")]
    if documents:
        yield toctree("Around the lessons", documents)


def page_name(lesson: Lesson) -> str:
    """A lesson's page of the site, without an ending; applications have a folder of their own."""
    return lesson.place.removesuffix(".ipynb") if lesson.place.startswith(APPLICATIONS) else f"lessons/{lesson.name}"


def short_title(lesson: Lesson) -> str:
    """Number and name of a lesson, for a table of contents."""
    words = lesson.name.removeprefix(f"{lesson.number}_").replace("_", " ").capitalize()
    for written, name in {"bert": "BERT", "adamw": "AdamW", "gpu": "GPU", "dataloader": "DataLoader"}.items():
        words = words.replace(written, name)
    return f"{lesson.number} · {words}"


def toctree(caption: str, entries: list[str], options: tuple[str, ...] = (":hidden:",)) -> str:
    """A table of contents in MyST's words."""
    return "\n".join([":::{toctree}", *options, f":caption: {caption}", "", *entries, ":::", ""])


_ALT = "Three maps of 419 news headlines, coloured by desk: mixed or partly apart before fine-tuning, groups after it"
_DOOR = '<a class="door" href="{address}"><strong>{title}</strong> <span>{text}</span></a>'
_TITLE = """# Fine-tuning BERT in PyTorch

One executable lesson for each question from "how do I install this?" to "how do I analyse a whole task?". Each lesson
trains or inspects a real BERT on real news texts, on a laptop's processor, in seconds to a few minutes; what you see
here is what such a run printed."""
