"""What pages say of the stored studies is what their rows say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bertft_helpers.series.gates.told import JUDGING
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.studies.catalogue import STUDIES, stored_results
from bertft_helpers.studies.families import verdicts_of
from bertft_helpers.studies.overview import studies_text
from bertft_helpers.studies.summaries import Verdict
from bertft_helpers.studies.winning import winning_change

ROOT = Path(__file__).parents[2]


def test_the_list_of_the_studies_is_current_and_its_sum_is_that_of_its_lines() -> None:
    stored = (ROOT / "notebooks" / "results" / "README.md").read_text(encoding="utf-8")
    assert stored == studies_text(), "the studies changed: `bertft map` writes the list"
    lines = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \|", stored, flags=re.MULTILINE)
    assert {name: int(runs) for name, runs, *_ in lines} == {name: len(stored_results(name)) for name in STUDIES}
    hours = float(re.search(r"took ([\d.]+) hours", stored)[1])
    assert hours * 60 == pytest.approx(sum(int(minutes) for *_, minutes in lines), abs=0.5 * len(lines) + 3)


def test_lessons_25_to_30_know_no_other_interval_over_seeds_than_students() -> None:
    for number in JUDGING:
        (lesson,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        assert "bootstrap" not in "\n".join(cell.source for cell in read_notebook(lesson).cells), lesson.name


def test_the_readme_tells_quick_training_as_it_was_stored() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    found = re.search(
        r"accuracy of ([\d.]+), with and without bfloat16, against ([\d.]+) of the exact way, where two seeds differ "
        r"by ([\d.]+), in ([\d.]+) and ([\d.]+) seconds of processor time against ([\d.]+)",
        readme,
    )
    rows = stored_results("quick_training")
    exact = rows[rows["masks"] == "torch"]
    bfloat16, bytes_alone = (
        rows[(rows["masks"] == "bytes") & (rows["precision"] == name)] for name in ("bfloat16", "float32")
    )
    told = [float(number) for number in found.groups()]
    expected = [bfloat16["accuracy"].mean(), exact["accuracy"].mean(), exact["accuracy"].std()]
    expected += [part["seconds"].mean() for part in (bfloat16, bytes_alone, exact)]
    assert told[:3] == pytest.approx(expected[:3], abs=0.001)
    assert told[3:] == pytest.approx(expected[3:], abs=0.06)
    assert bytes_alone["accuracy"].mean() == pytest.approx(told[0], abs=0.001)


def test_the_readme_tells_the_studies_of_defaults_as_they_were_stored() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    steps = found_by("defaults", "headlines, 5 per class: 100 steps at least")
    weights, elsewhere = verdicts_of("class_weights")
    assert f"with 25 headlines 100 steps gained {told(steps)[0]} of accuracy on average ({told(steps)[1]})" in readme
    gained, interval = told(weights)
    assert f"`--class-weights` gained {gained} of macro F1 ({interval}), on the other task" in readme
    gained, interval = told(elsewhere)
    assert f"on the other task {gained} ({interval.removeprefix('95 % interval ')})" in readme
    assert ("None was surely better on both tasks, so nothing changed" in readme) == (winning_change() == {})


def found_by(family: str, first: str) -> Verdict:
    (found,) = [one for one in verdicts_of(family) if one.first == first]
    return found


def told(found: Verdict) -> tuple[str, str]:
    """Mean and interval of a difference as the README writes them."""
    difference = found.difference
    return f"{difference.mean:.3f}", f"95 % interval {difference.low:+.3f} to {difference.high:+.3f}"
