"""Classes whose names differ by one letter are told: a plural or a slip of a finger easily makes two of one."""

from __future__ import annotations

import pytest

from bertft_helpers.reading.labels import ALIKE, about_names


def one_letter(names: list[str]) -> list[str]:
    return [note for note in about_names(names) if "differ by one letter" in note]


def test_a_plural_is_told_with_the_rows_of_both() -> None:
    assert one_letter(["birds", "bird", "birds", "tools"]) == [
        "the classes 'bird' (1 rows) and 'birds' (2 rows) differ by one letter; they are different classes here"
    ]


@pytest.mark.parametrize(
    "names", [["business", "bussiness"], ["Straße", "straßen"], ["car", "cars"], ["news desk", "newsdesks"]]
)
def test_a_letter_more_is_told_in_whatever_case_and_spacing(names: list[str]) -> None:
    assert len(one_letter(names)) == 1


@pytest.mark.parametrize(
    "names",
    [["typical", "atypical"], ["plan", "plane"], ["1", "10"], ["class 1", "class 12"], ["a", "as"], ["male", "female"]],
)
def test_other_words_and_numbers_are_not(names: list[str]) -> None:
    assert one_letter(names) == []


def test_of_many_pairs_some_are_told() -> None:
    words = [f"kind{letter}{letter}" for letter in "abcdefghijklmnop"]
    assert len(one_letter([*words, *(f"{word}s" for word in words)])) == ALIKE
