"""What the notebooks print: one stable line per check, feedback that says what is wrong, tables that cannot act."""

from __future__ import annotations

import base64

import nbformat
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient

from bertft_helpers.lessons import check, exercise, expect_error, show, show_page, show_table


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    """What a notebook would receive: pairs of data and metadata."""
    received: list[tuple[dict, dict]] = []

    def publish(data: dict, metadata: dict | None = None) -> None:
        received.append((data, metadata or {}))

    monkeypatch.setattr("IPython.display.publish_display_data", publish)
    return received


def test_a_claim_that_holds_prints_its_bounds_and_never_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    check("accuracy", 0.8712345, low=0.86)
    check("loss", 0.4321, low=0.1, high=0.5)
    check("desks", 5, equals=5)
    check("all seen", True)
    assert capsys.readouterr().out.splitlines() == [
        "✓ accuracy (at least 0.86)",
        "✓ loss (at least 0.1 and at most 0.5)",
        "✓ desks (exactly 5)",
        "✓ all seen",
    ]


def test_the_bounds_themselves_are_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    check("share", 0.5, low=0.5, high=0.5)
    assert "✓" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (0.85, {"low": 0.86}, "accuracy: the value is 0.85, expected at least 0.86"),
        (0.9, {"high": 0.5}, "accuracy: the value is 0.9, expected at most 0.5"),
        (float("nan"), {"low": 0.0}, "accuracy: the value is nan, expected at least 0"),
        (float("nan"), {"high": 1.0}, "accuracy: the value is nan, expected at most 1"),
        (4, {"equals": 5}, "accuracy: the value is 4, expected exactly 5"),
        (False, {}, "accuracy: the value is False, expected exactly True"),
    ],
)
def test_a_claim_that_fails_raises_with_its_value(value: object, bounds: dict, message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check("accuracy", value, **bounds)
    assert str(caught.value) == message


def test_a_skipped_claim_says_so_and_cannot_fail(capsys: pytest.CaptureFixture[str]) -> None:
    check("accuracy", 0.1, low=0.86, skip=True)
    assert capsys.readouterr().out == "– accuracy: not examined in this small run\n"


def answer_with(error: Exception | None) -> None:
    with exercise("2"):
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (None, "Exercise 2: correct"),
        (AssertionError("you dropped the last group"), "Exercise 2: not yet. you dropped the last group"),
        (AssertionError(), "Exercise 2: not yet. A check failed."),
        (NameError("name 'f' is not defined"), "Exercise 2: not yet. name 'f' is not defined: fill in the cell above"),
        (TypeError("no number"), "Exercise 2: not yet. Your code raised TypeError: no number"),
    ],
)
def test_an_answer_gets_feedback_and_never_stops_the_notebook(
    error: Exception | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(error)
    assert capsys.readouterr().out.startswith(line)


def test_a_planned_mistake_prints_the_first_line_of_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    with expect_error(ValueError, IndexError):
        raise IndexError("index out of range in self\nat address 0x7f")
    assert capsys.readouterr().out == "IndexError: index out of range in self\n"


def test_an_error_without_words_can_be_a_planned_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with expect_error(ValueError):
        raise ValueError
    assert capsys.readouterr().out == "ValueError: (no message)\n"


def test_a_planned_mistake_that_does_not_happen_fails() -> None:
    with pytest.raises(AssertionError, match="expected to raise ValueError or IndexError, and did not"):  # noqa: SIM117
        with expect_error(ValueError, IndexError):
            pass


def test_a_mistake_of_another_kind_passes_through() -> None:
    with pytest.raises(KeyError), expect_error(ValueError):
        raise KeyError("label")


def test_a_table_escapes_what_texts_hold(displayed: list[tuple[dict, dict]]) -> None:
    show_table([["<script>alert(1)</script>", 3], ["Tom & Ann", 4]], headers=["text", "<b>n</b>"])
    ((data, _),) = displayed
    assert "<script>" not in data["text/html"]
    assert "<b>" not in data["text/html"]
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td><td>3</td>" in data["text/html"]
    assert data["text/plain"].splitlines() == ["text | <b>n</b>", "<script>alert(1)</script> | 3", "Tom & Ann | 4"]


def test_a_page_is_shown_without_its_frame_and_can_be_read_as_text(displayed: list[tuple[dict, dict]]) -> None:
    show_page("<html><title>x</title><main><p><b>Costs.</b> Tom &amp; Ann</p> <p>a &lt;b&gt;</p></main></html>")
    ((data, _),) = displayed
    assert data["text/html"] == "<p><b>Costs.</b> Tom &amp; Ann</p> <p>a &lt;b&gt;</p>"
    assert data["text/plain"] == "Costs. Tom & Ann\na <b>"


def test_a_figure_comes_as_png_with_its_alt_text(displayed: list[tuple[dict, dict]]) -> None:
    show(Figure(), alt="Nothing is drawn.")
    ((data, metadata),) = displayed
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == "Figure: Nothing is drawn."
    assert metadata == {"image/png": {"alt": "Nothing is drawn."}}


@pytest.mark.slow
def test_a_live_picture_replaces_itself_and_one_is_stored() -> None:
    source = """
from matplotlib.figure import Figure
from bertft_helpers.lessons import live_picture
first, second = live_picture("A curve."), live_picture("Another.")
for inches in (1, 2, 3):
    first(Figure((inches, 1), dpi=100))
second(Figure((4, 1), dpi=100))
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=600).execute()
    outputs = notebook.cells[0].outputs
    assert [output["data"]["text/plain"] for output in outputs] == ["Figure: A curve.", "Figure: Another."]
    assert [width_of_png(base64.b64decode(output["data"]["image/png"])) for output in outputs] == [300, 400]


def width_of_png(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")
