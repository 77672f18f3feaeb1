"""The contrasts named beforehand, and the one policy by which lessons judge them, worked out again by other means."""

from __future__ import annotations

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bertft_helpers.series.catalogue import find_lessons
from bertft_helpers.studies.catalogue import STUDIES, stored_results
from bertft_helpers.studies.families import FAMILIES, Family, find_family, verdicts_of
from bertft_helpers.studies.summaries import Verdict


def cell(rows: pd.DataFrame, chosen: dict) -> pd.Series:
    """The rows of a cell by seed, found without the package's own search."""
    for name, wanted in chosen.items():
        rows = rows[rows[name].isna()] if wanted is None else rows[rows[name] == wanted]
    return rows.set_index("seed")


def worked_out_again(family: Family) -> list[tuple[float, float, float]]:
    """Mean, p and p of sameness of each contrast by scipy's tests, with Holm's correction by its definition."""
    rows = stored_results(family.study)
    rows = rows if family.reshape is None else family.reshape(rows)
    means, differ, same = [], [], []
    for contrast in family.contrasts:
        one, other = (cell(rows, dict(chosen))[family.value] for chosen in (contrast.one, contrast.other))
        gaps = (one - other).dropna()
        means.append(gaps.mean())
        differ.append(stats.ttest_1samp(gaps, 0).pvalue)
        above = stats.ttest_1samp(gaps, -family.same_within, alternative="greater").pvalue
        below = stats.ttest_1samp(gaps, family.same_within, alternative="less").pvalue
        same.append(max(above, below))
    return list(zip(means, by_definition(differ), by_definition(same), strict=True))


def by_definition(p_values: list[float]) -> list[float]:
    """Holm: the k-th smallest of m times m - k + 1, never below the one before."""
    corrected, worst = dict.fromkeys(range(len(p_values)), 0.0), 0.0
    for rank, place in enumerate(sorted(corrected, key=lambda place: p_values[place])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = worst
    return list(corrected.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_verdict_comes_out_again_by_scipy(name: str) -> None:
    for found, (mean, p, p_same) in zip(verdicts_of(name), worked_out_again(find_family(name)), strict=True):
        assert (found.difference.mean, found.p, found.p_same) == pytest.approx((mean, p, p_same), abs=1e-9), str(found)


@pytest.mark.parametrize("name", FAMILIES)
def test_words_and_signs_agree(name: str) -> None:
    for found in verdicts_of(name):
        low, high = map(float, re.findall(r"interval ([+-][\d.]+) to ([+-][\d.]+)", str(found))[0])
        if found.finding in ("above", "below"):
            assert 0 <= low <= high, str(found)  # told from the side that lies higher
            assert (found.difference.mean > 0) == (" above " in str(found))
        if found.finding == "the same":
            assert abs(found.difference.mean) < found.same_within


def test_every_family_asks_its_study_each_question_once() -> None:
    for family in FAMILIES.values():
        assert family.study in STUDIES
        asked = [str((contrast.one, contrast.other)) for contrast in family.contrasts]
        assert len(asked) == len(set(asked)), family.name


def test_an_unknown_family_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="no family 'tea'; there are freezing, "):
        find_family("tea")


def printed_verdicts(number: str) -> list[str]:
    """The lines of a lesson's stored outputs that hold a verdict."""
    path = next(lesson.path for lesson in find_lessons() if lesson.number == number)
    texts = [
        output.get("text", "")
        for notebook_cell in nbformat.read(path, as_version=4).cells
        for output in notebook_cell.get("outputs", [])
    ]
    return [line for text in texts for line in text.splitlines() if "Holm p" in line]


@pytest.mark.parametrize("number", ["25", "26", "27", "28", "29", "30"])
def test_a_lessons_verdicts_on_a_study_are_those_of_its_rows(number: str) -> None:
    """What a lesson prints of ten seeds it prints as the stored rows say today; each lesson prints some."""
    known = [str(found) for name in FAMILIES for found in verdicts_of(name)]
    told = [line for line in printed_verdicts(number) if "10 seeds" in line]
    assert told
    assert [line for line in told if not any(verdict in line for verdict in known)] == []


def test_a_verdict_counts_the_seeds_that_a_failed_run_lost() -> None:
    rows = stored_results("freezing")
    rows.loc[(rows["frozen"] == "gradual") & (rows["seed"] == 3), "accuracy"] = np.nan
    found = next(found for found in verdicts_of("freezing", rows) if found.first == "gradual")
    assert isinstance(found, Verdict)
    assert (found.difference.pairs, found.difference.lost) == (9, 1)
    assert str(found).endswith("9 seeds, 1 lost)")
