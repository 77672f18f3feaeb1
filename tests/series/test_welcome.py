"""What the set-up cell says of a transformers that is older or newer than those that lessons were run with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bertft_helpers.series import tested, welcome

ROOT = Path(__file__).parents[2]


def pinned(file: str) -> str:
    (version,) = re.findall(r"^transformers==(\S+)", (ROOT / file).read_text(), flags=re.MULTILINE)
    return ".".join(version.split(".")[:2])


def test_the_range_is_that_of_the_two_environments_in_which_lessons_are_run() -> None:
    assert (pinned("tests/colab-versions.txt"), pinned("requirements.lock")) == tested.TRANSFORMERS


@pytest.mark.parametrize("found", ["5.15.0", "5.20.3", "5.23.9", "5.23.0.dev0", None])
def test_a_version_that_was_run_and_one_between_are_not_spoken_of(found: str | None) -> None:
    assert welcome.untried_transformers(found) == ""


@pytest.mark.parametrize(
    ("found", "age"), [("5.14.9", "older"), ("4.57.1", "older"), ("5.24.0", "newer"), ("6.0.0rc1", "newer")]
)
def test_an_older_or_newer_one_is_named_with_what_to_do(found: str, age: str) -> None:
    said = welcome.untried_transformers(found)
    assert said.startswith(f"transformers {found} is {age} than those that the lessons were run with (5.15 to 5.23)")
    assert '%pip install "transformers==5.23.*"' in said


def test_it_is_said_once_in_a_kernel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(welcome, "_installed", lambda: "7.0.1")
    for variable in welcome.HOSTED:
        monkeypatch.delenv(variable, raising=False)
    welcome._name_untried.cache_clear()
    for _ in range(2):
        welcome.welcome("19")
    assert capsys.readouterr().out.count("transformers 7.0.1 is newer") == 1
    welcome._name_untried.cache_clear()
