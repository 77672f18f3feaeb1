"""The temperature and the limit below which a person should look, by numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bertft_helpers.evaluation import Predictions
from bertft_helpers.own_texts.calibration import (
    abstain_below,
    calibrate,
    choose_limit,
    choose_temperature,
    error_by_luck,
    log_loss,
    with_temperature,
)


def two_classes(surenesses: list[float], right: list[bool]) -> Predictions:
    """Answers of class 0 with the given probabilities, the label being 0 where they are right."""
    sure = np.array(surenesses)
    return Predictions(np.log(np.stack([sure, 1 - sure], axis=1)), np.where(right, 0, 1))


def test_a_model_too_sure_gets_the_temperature_that_gives_its_share_of_right_answers() -> None:
    validation = two_classes([0.9] * 40, [True] * 30 + [False] * 10)  # odds 9 where 3 would be true: ln 9 / ln 3 = 2
    temperature = choose_temperature(validation)
    assert temperature == pytest.approx(2, rel=1e-4)
    assert with_temperature(validation, temperature).probabilities[0, 0] == pytest.approx(0.75, rel=1e-4)


def test_four_mistakes_are_too_few_to_fit_a_temperature_by() -> None:
    assert choose_temperature(two_classes([0.9] * 40, [True] * 36 + [False] * 4)) == 1.0
    assert choose_temperature(two_classes([0.9] * 40, [True] * 35 + [False] * 5)) != 1.0


def test_a_model_without_a_mistake_is_not_made_surer() -> None:
    assert choose_temperature(two_classes([0.7] * 40, [True] * 40)) == 1.0


def test_the_error_with_the_temperature_and_without_are_told_apart() -> None:
    test = two_classes([0.9] * 40, [True] * 30 + [False] * 10)
    found = calibrate(test, 2.0)
    assert found.expected_error_as_trained == pytest.approx(0.15)  # 0.9 said, 0.75 right
    assert found.expected_error == pytest.approx(0, abs=1e-9)
    assert found.log_loss == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert found.log_loss_as_trained == pytest.approx(-0.75 * np.log(0.9) - 0.25 * np.log(0.1))
    assert log_loss(test) == found.log_loss_as_trained


def test_luck_explains_what_the_binomial_says() -> None:
    sure = np.full(400, 0.8)
    found = error_by_luck(np.stack([sure, 1 - sure], axis=1), draws=4000)
    assert found == pytest.approx(1.96 * np.sqrt(0.8 * 0.2 / 400), rel=0.05)  # |mean of 400 draws - 0.8|, 95 % point


def test_luck_explains_less_where_there_are_more_texts() -> None:
    few, many = (np.tile([0.6, 0.4], (count, 1)) for count in (50, 5000))
    assert error_by_luck(many) < error_by_luck(few) / 5


def test_the_limit_is_the_lowest_that_halves_the_share_of_mistakes() -> None:
    sure = [0.95] * 60 + [0.745] * 20 + [0.555] * 20
    right = [True] * 58 + [False] * 2 + [True] * 17 + [False] * 3 + [True] * 13 + [False] * 7
    limit = choose_limit(two_classes(sure, right))  # 12 of 100 wrong; from 0.56 on 5 of 80, which is 6.25 %; no half
    assert limit == 0.75  # 2 of 60: 3.3 %
    found = abstain_below(0.75, two_classes(sure, right))
    assert found == (0.75, 100, 0.6, pytest.approx(58 / 60), pytest.approx(30 / 40))


@pytest.mark.parametrize(
    ("sure", "right"),
    [
        ([0.9] * 50 + [0.6] * 50, ([True] * 45 + [False] * 5) * 2),  # as often wrong where it is sure
        ([0.9] * 50 + [0.6] * 50, [True] * 96 + [False] * 4),  # too few mistakes to choose by
    ],
    ids=["sureness says nothing", "four mistakes"],
)
def test_where_there_is_no_such_limit_none_is_made_up(sure: list[float], right: list[bool]) -> None:
    assert choose_limit(two_classes(sure, right)) is None


def test_a_limit_that_no_test_text_reaches_hands_all_of_them_over() -> None:
    assert abstain_below(0.99, two_classes([0.6] * 4, [True] * 3 + [False])) == (0.99, 4, 0.0, 0.0, 0.75)
