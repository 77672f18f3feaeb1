"""Pages come from templates that let no text act, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from bertft_helpers.series.execute.runner import Outcome
from bertft_helpers.series.pages import render

PACKAGE = Path(__file__).parents[2] / "bertft_helpers"
FAILED = Outcome("05_a<b>", "failed", 1.26, 99.6)


def test_every_text_of_a_page_is_escaped() -> None:
    page = render("run.html.j2", profile="<i>", when="today", lessons=[(FAILED, "cell 3: `a < b`", True)])
    assert "Profile <b>&lt;i&gt;</b>, today." in page
    assert '<td><a href="05_a&lt;b&gt;.html">05_a&lt;b&gt;</a></td><td>1.3</td><td>100</td><td>failed</td>' in page
    assert "<td>cell 3: `a &lt; b`</td>" in page


def test_a_lesson_without_a_page_is_not_linked() -> None:
    assert "<a " not in render("run.html.j2", profile="cpu", when="today", lessons=[(FAILED, "", False)])


def test_a_value_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'when' is undefined"):
        render("run.html.j2", profile="cpu", lessons=[])


def test_no_module_writes_a_page_by_itself() -> None:
    tags = re.compile(r"<!doctype html|<html|<body", re.IGNORECASE)
    assert [path.name for path in PACKAGE.rglob("*.py") if tags.search(path.read_text())] == []
