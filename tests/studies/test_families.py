"""The contrasts named beforehand, and the one policy by which lessons judge them, worked out again by other means."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bertft_helpers.series.catalogue import find_lessons
from bertft_helpers.studies.catalogue import STUDIES, stored_results
from bertft_helpers.studies.families import FAMILIES, Family, find_family, verdicts_of
from bertft_helpers.studies.summaries import Verdict, compare, judge

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def stored_cell(rows: pd.DataFrame, chosen: dict) -> pd.Series:
    """The rows of a cell by seed, found without the package's own search."""
    for name, wanted in chosen.items():
        rows = rows[rows[name].isna()] if wanted is None else rows[rows[name] == wanted]
    return rows.drop_duplicates("seed").set_index("seed")


def worked_out_again(family: Family) -> list[tuple[float, float, float]]:
    """Mean, p and p of sameness of each contrast by scipy's tests, with Holm's correction by its definition."""
    rows = stored_results(family.study)
    rows = rows if family.reshape is None else family.reshape(rows)
    means, differ, same = [], [], []
    for contrast in family.contrasts:
        one, other = (stored_cell(rows, dict(chosen))[family.value] for chosen in (contrast.one, contrast.other))
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


TOLD = re.compile(
    r"(?:lies (?P<side>above|below) .* by (?P<by>[\d.]+)"
    r"|against .*: (?:open|the same within (?P<bound>[\d.]+)) \((?P<mean>[+-][\d.]+);)"
    r".*interval (?P<low>[+-][\d.]+) to (?P<high>[+-][\d.]+), Holm p (?P<p>[<=] [\d.]+), (?P<seeds>\d+) seeds"
)


def cells_of(number: str) -> list[nbformat.NotebookNode]:
    path = next(lesson.path for lesson in find_lessons(NOTEBOOKS) if lesson.number == number)
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def printed_verdicts(number: str) -> list[str]:
    """The lines of a lesson's stored outputs that hold a verdict."""
    texts = [output.get("text", "") for cell in cells_of(number) for output in cell.outputs]
    return [line for text in texts for line in text.splitlines() if "Holm p" in line and " seeds" in line]


@pytest.mark.parametrize("number", ["25", "26", "27", "28", "29", "30", "A1"])
def test_a_lesson_prints_of_a_family_what_its_rows_say_today(number: str) -> None:
    verdicts = [found for name in FAMILIES for found in verdicts_of(name)]
    told = printed_verdicts(number)
    of_families = [
        line
        for line in told
        if any(f"{one.first} {word} {one.second}" in line for one in verdicts for word in ("lies above", "lies below"))
        or any(f"{one.first} against {one.second}:" in line for one in verdicts)
    ]
    assert of_families
    assert [line for line in of_families if not any(str(verdict) in line for verdict in verdicts)] == []


@pytest.mark.parametrize("number", ["19", "25", "26", "27", "28", "29", "30", "A1"])
def test_the_words_of_every_printed_verdict_follow_from_its_numbers(number: str) -> None:
    lines = printed_verdicts(number)
    assert lines
    for line in lines:
        found = TOLD.search(line)
        assert found, line
        low, high, seeds = float(found["low"]), float(found["high"]), int(found["seeds"])
        mean, p = float(found["by"] or found["mean"]), float(found["p"][2:])
        assert (low + high) / 2 == pytest.approx(mean, abs=0.0011), line
        assert (found["side"] is not None) == (p < 0.05 or found["p"] == "< 0.001"), line
        reach = (high - low) / 2
        if reach > 0.001:
            error = (reach - 0.0005) / stats.t.ppf(0.975, seeds - 1)  # the numbers are rounded to three places
            alone = 2 * stats.t.sf((abs(mean) + 0.0005) / error, seeds - 1)
            assert alone <= p + 0.001, line  # a family never makes a contrast surer
        if found["side"]:
            assert low >= 0, line
        if found["bound"]:
            inner = reach * stats.t.ppf(0.95, seeds - 1) / stats.t.ppf(0.975, seeds - 1)
            assert abs(mean) + inner <= float(found["bound"]) + 0.0011, line


def test_the_conclusion_of_lesson_30_comes_out_again_by_scipy() -> None:
    """Its contrasts lie across the studies; the cell that names them is run, and its verdicts are worked out anew."""
    (cell,) = [cell for cell in cells_of("30") if "CONTRASTS = {" in cell.source]
    space: dict = {"stored_results": stored_results, "compare": compare, "judge": judge}
    exec(cell.source, space)
    gaps = [
        (
            stored_cell(stored_results(study), dict(one))[space["value_of"].get(study, "accuracy")]
            - stored_cell(stored_results(study), dict(other))[space["value_of"].get(study, "accuracy")]
        ).dropna()
        for study, one, other in space["CONTRASTS"].values()
    ]
    p_values = by_definition([stats.ttest_1samp(gap, 0).pvalue for gap in gaps])
    expected = {pair: (gap.mean(), p) for pair, gap, p in zip(space["CONTRASTS"], gaps, p_values, strict=True)}
    for verdict in space["verdicts"]:
        assert (verdict.difference.mean, verdict.p) == pytest.approx(expected[verdict.first, verdict.second], abs=1e-9)
    assert [str(verdict) for verdict in space["verdicts"]] == [
        line for output in cell.outputs for line in output.get("text", "").splitlines() if "Holm p" in line
    ]


def test_a_verdict_counts_the_seeds_that_a_failed_run_lost() -> None:
    rows = stored_results("freezing")
    rows.loc[(rows["frozen"] == "gradual") & (rows["seed"] == 3), "accuracy"] = np.nan
    found = next(found for found in verdicts_of("freezing", rows) if found.first == "gradual")
    assert isinstance(found, Verdict)
    assert (found.difference.pairs, found.difference.lost) == (9, 1)
    assert str(found).endswith("9 seeds, 1 lost)")
