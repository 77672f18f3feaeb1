"""kill -9 before every change that run, store and workshop make on the disk: the next call ends as if nothing was."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accidents import killed_before
from conftest import code, write_lesson

from bertft_helpers.series.execute.outcomes import write_run
from bertft_helpers.series.execute.runner import Outcome
from bertft_helpers.series.notebook import read_notebook, write_notebook
from bertft_helpers.series.teach import workshop

Files = dict[str, bytes]
MINUTE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d")


def content_of(folder: Path) -> Files:
    """Every file below a folder, without the minute at which a run was reported."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: MINUTE.sub(b"", content) for name, content in files.items()}


def report_a_run(source: Path, out: Path) -> None:
    """What ``bertft run`` writes after its kernels have ended; they end with it when it is killed (test_runner)."""
    shutil.copy(source, out.parent / "executed.ipynb")
    out.mkdir(exist_ok=True)
    (out.parent / "executed.ipynb").replace(out / f"{source.name}")
    write_run([Outcome(source.stem, "ok", 1.0, 100.0)], {}, out, "cpu", 1)


def store_an_output(source: Path, out: Path) -> None:
    """What ``bertft store`` writes into the folder of the lessons."""
    notebook = read_notebook(source)
    notebook.cells[0].source = "print(2)"
    out.mkdir(exist_ok=True)
    write_notebook(notebook, out / source.name)


def build_a_workshop(source: Path, out: Path) -> None:
    """``bertft workshop`` with parts that take no minutes: one page, and a folder of two."""

    def parts(_: Path, place: Path, *more: object) -> Iterator[tuple[str, Callable[[], object]]]:
        yield "a page", lambda: workshop._write(place / "page.html", "a page")
        yield "a folder", lambda: [workshop._write(place / "folder" / name, name) for name in ("1.html", "2.html")]

    workshop._parts, workshop.lasting_of = parts, lambda folder: {}
    workshop.build(source.parent, out)


@pytest.mark.slow
@pytest.mark.parametrize("work", [report_a_run, store_an_output, build_a_workshop])
def test_a_kill_before_any_change_leaves_nothing_that_the_next_call_does_not_clean(
    work: Callable[[Path, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Callable[..., None]
) -> None:
    for name in ("_parts", "lasting_of"):
        monkeypatch.setattr(workshop, name, getattr(workshop, name))  # given back when the test ends
    source = write_lesson(tmp_path / "01_count.ipynb", [code("print(1)")])
    place, expected = tmp_path / "place", None
    for number in itertools.count(1):
        place.mkdir()
        if not killed_before(number, place, work, source, place / "out"):
            break
        work(source, place / "out")
        found = content_of(place)
        expected = expected or found
        assert found == expected, f"after a kill before change {number}"
        assert [path.name for path in place.iterdir()] == ["out"]
        shutil.rmtree(place)
    assert number > 3
    report(f"changes on the disk of {work.__name__.replace('_', ' ')}, killed (kill -9) before each", number - 1)
