"""The report: no text of the data acts as a page or hides anything, every figure has words, nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from own_data import Rows, run, settings_for, tiny_checkpoint, write_csv

from bertft_helpers.evaluation import Predictions
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.report import axis_names, report_page
from bertft_helpers.tables import visible

HOSTILE_LABELS = [
    "<script>alert('label')</script>",
    'x" onmouseover="alert(1)',
    "\x1b[31mred\x07",
    "$\\frac{1}$ {{ 7*7 }}",
]
HOSTILE_TEXTS = [
    "<script>alert('text')</script> stolen",
    '"><img src=x onerror=alert(1)> stolen',
    "</p></div></body></html> the end",
    "\x1b[2J\x1b]0;title\x07 terminal",
    "user\u202egpj.exe turned around",
    "{{ settings.__class__ }} {% raw %}",
    "javascript:alert(1) https://tracker.example/pixel.png",
    "مرحبا بالعالم العربي",
    "long " + "x" * 1_000_000,
]


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_rows() -> Rows:
    return [(f"{text} {n} {label[:3]}", label) for label in HOSTILE_LABELS for n, text in enumerate(HOSTILE_TEXTS * 2)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def record(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskRecord:
    folder = tmp_path_factory.mktemp("run")
    data = write_csv(folder / "texts.csv", hostile_rows())
    done = run(settings_for(data, checkpoint, max_length=32, learning_rate=1e-5, epochs=1), folder / "out")
    return with_every_text_mistaken(done)


def with_every_text_mistaken(record: TaskRecord) -> TaskRecord:
    """The same run, tested on the hostile texts alone, of which each is surely another class than its label."""
    count, classes = len(HOSTILE_TEXTS), len(HOSTILE_LABELS)
    labels = np.arange(count) % classes
    rows = {"id": [str(n) for n in range(count)], "text": HOSTILE_TEXTS, "label": labels}
    parts = record.prepared.parts
    test = Dataset.from_dict(rows, features=parts["test"].features)
    words = [
        {"row": n, "predicted": HOSTILE_LABELS[0], "words": f"{text} +1.00"} for n, text in enumerate(HOSTILE_TEXTS)
    ]
    return replace(
        record,
        results={**record.results, "explained": {**record.results["explained"], "examples": words}},
        prepared=replace(
            record.prepared,
            parts=DatasetDict({**parts, "test": test}),
            lengths={**record.prepared.lengths, "test": [len(text) for text in HOSTILE_TEXTS]},
        ),
        predictions={**record.predictions, "test": Predictions(9 * np.eye(classes)[(labels + 1) % classes], labels)},
    )


@pytest.fixture(scope="module")
def source(record: TaskRecord) -> str:
    return report_page(record)


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_a_text_of_the_data_is_never_a_tag_or_an_attribute(page: Page) -> None:
    allowed = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "code", "div", "b", "span", "table"}
    allowed |= {"thead", "tbody", "tr", "th", "td", "bdi", "figure", "img", "br", "pre"}
    assert {tag for tag, _ in page.tags} <= allowed
    names = {name for _, attributes in page.tags for name in attributes}
    assert names <= {"lang", "charset", "name", "content", "http-equiv", "class", "id", "alt", "src", "dir"}
    assert page.tags.count(("body", {})) == 1


def test_the_hostile_texts_and_labels_are_shown_as_what_they_are(page: Page) -> None:
    expected = [
        *("<script>alert('label')</script>", 'x" onmouseover="alert(1)', "<U+001B>[31mred<U+0007>"),
        "$\\frac{1}$ {{ 7*7 }}",
        *HOSTILE_TEXTS[:3],
        *("<U+001B>[2J<U+001B>]0;title<U+0007> terminal", "user<U+202E>gpj.exe turned around"),
        *HOSTILE_TEXTS[5:8],
        "long " + "x" * 295 + " … (1,000,005 characters)",
    ]
    assert [text for text in expected if text not in page.text] == []


def test_no_control_character_or_direction_mark_is_left(source: str) -> None:
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]", source) == []


def test_nothing_is_fetched_and_no_script_could_run(page: Page) -> None:
    sources = [attributes["src"] for tag, attributes in page.tags if "src" in attributes]
    assert sources
    assert all(address.startswith("data:image/png;base64,") for address in sources)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_every_figure_says_in_words_what_it_shows(page: Page) -> None:
    alts = [attributes.get("alt") or "" for tag, attributes in page.tags if tag == "img"]
    assert len(alts) == 6
    assert all(len(alt) > 40 for alt in alts)


def test_all_sections_are_there_and_a_text_of_a_megabyte_does_not_swell_the_page(source: str, page: Page) -> None:
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "h2"]
    assert sections == [
        "data", "training", "test", "baselines", "calibration", "slices", "mistakes", "words", "cost", "use"
    ]  # fmt: skip
    assert len(source) < 1_000_000


def test_the_page_tells_what_deleting_the_words_did_and_when_it_was_no_more_than_chance(record: TaskRecord) -> None:
    found = {"texts": 7, "words": 3, "highest": 0.25, "drawn": [0.125, 0.0625], "holds": True}

    def told(explained: dict | None) -> str:
        return Page(report_page(replace(record, results={**record.results, "explained": explained}))).text

    sound, chance = (told({"deletion": {**found, "holds": holds}, "examples": []}) for holds in (True, False))
    assert "by 0.250 on average, without as many words drawn at random by 0.062 to 0.125 (2 draws)" in sound
    assert "do not rely on these words" not in sound
    assert "do not rely on these words" in chance
    assert "Deciding words" not in told(None)


def test_the_page_tells_the_verdict_and_the_notes(page: Page, record: TaskRecord) -> None:
    assert record.results["verdict"] in page.text
    assert all(visible(note, None) in page.text for note in record.results["notes"])
    assert "of the texts are longer than 32 tokens" in page.text


def test_many_classes_get_a_table_of_confusions_instead_of_a_figure(checkpoint: Path, tmp_path: Path) -> None:
    rows = [(f"text {label} {n}", f"class {label}") for label in range(60) for n in range(3)]
    settings = settings_for(write_csv(tmp_path / "texts.csv", rows), checkpoint, epochs=1, learning_rate=1e-5)
    page = Page(report_page(run(settings, tmp_path / "out")))
    assert sum(tag == "img" for tag, _ in page.tags) == 5
    assert "predicted instead" in page.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 中 🦄", "plain é 中 🦄"),
        ("two\n lines\tfolded", "two lines folded"),
        ("\x1b[31m", "<U+001B>[31m"),
        ("a\u202eb\u2066c", "a<U+202E>b<U+2066>c"),
        ("\x00\x7f\x9b", "<U+0000><U+007F><U+009B>"),
        ("half \ud800", "half <U+D800>"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner that Persian needs
        ("x" * 301, "x" * 300 + " … (301 characters)"),
        ("y" * 300, "y" * 300),
    ],
)
def test_a_text_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_short_text_behind_much_white_space_is_not_lost() -> None:
    assert visible("a" + " " * 2000 + "b", 10) == "a … (2,002 characters)"


def test_names_that_a_figure_cannot_draw_become_numbers() -> None:
    assert axis_names(["naïve", "体育", "a" * 50, "$x$"]) == ["naïve", "class 2", "a" * 18, r"\$x\$"]
