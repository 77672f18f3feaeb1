"""Means with intervals, paired differences and verdicts by one policy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bertft_helpers.studies.summaries import compare, holm, judge, mean_interval, paired_difference, summarize

ROWS = pd.DataFrame(
    {
        "rate": [1] * 4 + [2] * 4,
        "seed": [0, 1, 2, 3] * 2,
        "accuracy": [0.80, 0.82, 0.84, 0.86, 0.90, 0.20, np.nan, 0.94],
    }
)


def test_a_summary_by_hand() -> None:
    first, second = summarize(ROWS, ["rate"], majority=0.23).to_dict("records")
    assert first["runs"] == 4
    assert first["mean"] == pytest.approx(0.83)
    assert first["sd"] == pytest.approx(np.sqrt((0.03**2 + 0.01**2 + 0.01**2 + 0.03**2) / 3))
    assert first["minimum"] == 0.80
    assert first["failed"] == 0.0
    assert second["failed"] == 0.5  # one below the majority class, one that raised
    assert second["mean"] == pytest.approx((0.90 + 0.20 + 0.94) / 3)


def test_the_band_of_a_mean_is_students() -> None:
    first, second = summarize(ROWS, ["rate"]).to_dict("records")
    reach = 3.182446 * np.sqrt(0.002 / 3 / 4)  # t with 3 degrees of freedom, 0.975; squares sum to 0.002
    assert (first["low"], first["high"]) == pytest.approx((0.83 - reach, 0.83 + reach))
    finished = [0.90, 0.20, 0.94]  # the run that raised takes no part
    expected = stats.ttest_1samp(finished, 0).confidence_interval(0.95)
    assert (second["low"], second["high"]) == pytest.approx((expected.low, expected.high))


def test_one_run_has_a_mean_and_no_band() -> None:
    one, none = summarize(ROWS.loc[[0, 6]], ["rate"]).to_dict("records")
    assert one["mean"] == 0.80
    assert np.isnan([one["sd"], one["low"], one["high"]]).all()
    assert np.isnan([none["mean"], none["low"], none["high"]]).all()
    assert np.isnan(mean_interval([0.80])).all()


def test_runs_that_agree_have_a_band_of_no_width() -> None:
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_a_paired_difference_has_the_interval_of_scipys_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(0.85, 0.02, 10), generator.normal(0.84, 0.02, 10)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(first, second)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx((first - second).mean())


def test_cells_are_paired_by_seed_and_runs_that_raised_are_left_out() -> None:
    shuffled = ROWS.sample(frac=1, random_state=1)
    found = compare(shuffled, {"rate": 2}, {"rate": 1})
    assert found.pairs == 3
    assert found.mean == pytest.approx(np.mean([0.90 - 0.80, 0.20 - 0.82, 0.94 - 0.86]))
    with pytest.raises(ValueError, match="no factor batch; the columns are rate, seed, accuracy"):
        compare(ROWS, {"batch": 2}, {"rate": 1})


def test_one_pair_has_no_spread() -> None:
    with pytest.raises(ValueError, match="1 pairs: at least two seeds"):
        paired_difference([0.9], [0.8])


def test_a_cell_must_say_which_run_of_a_seed_is_meant() -> None:
    two_sizes = pd.concat([ROWS.assign(size=1), ROWS.assign(size=2)])
    with pytest.raises(ValueError, match="has several runs per seed; name the other factors"):
        compare(two_sizes, {"rate": 1}, {"rate": 2})
    assert compare(two_sizes, {"rate": 2, "size": 1}, {"rate": 1, "size": 1}).pairs == 3


def test_an_empty_field_is_the_value_none() -> None:
    rows = ROWS.assign(steps=[np.nan] * 4 + [39] * 4)
    assert compare(rows, {"steps": None}, {"steps": 39}).pairs == 3


def test_a_cell_that_no_run_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no run has \{'rate': 7\}; there are rate \[1, 2\]"):
        compare(ROWS, {"rate": 7}, {"rate": 1})


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_a_family_of_more_contrasts_asks_for_more() -> None:
    gaps = [0.01, 0.03, 0.02, -0.01, 0.03]
    clear, none = paired_difference(gaps, np.zeros(5)), paired_difference([0.1, -0.1, 0.1, -0.1, 0.0], np.zeros(5))
    (alone,) = judge({("a", "b"): clear}, same_within=0.001)
    together = judge({("a", "b"): clear, **{("n", str(n)): none for n in range(9)}}, same_within=0.001)[0]
    assert alone.p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    assert together.p == pytest.approx(10 * alone.p)
    assert together.finding == "open"


def test_the_same_is_said_only_when_a_difference_that_matters_is_ruled_out() -> None:
    close, wide = [0.001, -0.002, 0.002, 0.0, -0.001], [0.05, -0.06, 0.04, -0.05, 0.03]
    for values, finding in ((close, "the same"), (wide, "open")):
        (found,) = judge({("a", "b"): paired_difference(values, np.zeros(5))}, same_within=0.01)
        assert found.finding == finding
    below, above = (
        stats.ttest_1samp(close, 0.01, alternative="less"),
        stats.ttest_1samp(close, -0.01, alternative="greater"),
    )
    (found,) = judge({("a", "b"): paired_difference(close, np.zeros(5))}, same_within=0.01)
    assert found.p_same == pytest.approx(max(below.pvalue, above.pvalue))


def test_a_difference_without_spread_is_certain() -> None:
    (found,) = judge({("a", "b"): paired_difference([1.5, 1.5], [1.0, 1.0])}, same_within=0.1)
    assert str(found) == "a lies above b by 0.500 (95 % interval +0.500 to +0.500, Holm p < 0.001, 2 seeds)"


def test_a_small_but_clear_difference_is_called_small() -> None:
    (found,) = judge({("a", "b"): paired_difference([0.0010, 0.0011, 0.0012], [0, 0, 0])}, same_within=0.02)
    assert str(found).startswith("a lies above b by 0.001, less than 0.02 (95 % interval +0.001 to +0.001, Holm p = ")


def test_a_bound_must_be_above_nothing() -> None:
    with pytest.raises(ValueError, match="same_within is 0; it must be above 0"):
        judge({}, same_within=0)
