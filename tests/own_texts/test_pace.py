"""The pace of a run: what this call did, and the time that is left at most."""

from __future__ import annotations

import pytest

from bertft_helpers.own_texts.pace import Pace, roughly


def pace_of(*steps: tuple[int, float, int], planned: int = 100) -> Pace:
    """A pace that was told steps: how many were done, at which second, with how many texts."""
    times = iter([second for _, second, _ in steps])
    pace = Pace(lambda: next(times))
    for done, _, texts in steps:
        pace.step(done, planned, texts)
    return pace


def test_the_pace_is_that_of_the_steps_after_the_first() -> None:
    pace = pace_of((1, 100.0, 16), (2, 101.0, 16), (3, 104.0, 8))
    assert pace.seconds == 4.0
    assert str(pace) == "step 3 of at most 100, 6 texts a second, at most 3 min left"  # 24 / 4; 97 x 4 / 2 = 194 s


def test_the_steps_of_an_earlier_call_are_done_and_say_nothing_about_the_pace() -> None:
    assert str(pace_of((91, 0.0, 16), (92, 2.0, 16))) == "step 92 of at most 100, 8 texts a second, at most 16 s left"


def test_one_step_has_no_pace_yet() -> None:
    assert str(pace_of((91, 5.0, 16))) == "step 91 of at most 100"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (5999, "100 min"), (9000, "2.5 h")]
)
def test_a_duration_is_told_roughly(seconds: float, words: str) -> None:
    assert roughly(seconds) == words
