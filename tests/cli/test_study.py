"""``bertft study`` as a person types it: it says how its runs are made, and goes on as it began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bertft_helpers.cli.main import app
from bertft_helpers.speed import choice
from bertft_helpers.studies.catalogue import STUDIES
from bertft_helpers.studies.experiments import Study
from bertft_helpers.studies.families import FAMILIES, Contrast, Family

AS_EXACT = {"precision": "float32", "masks": "torch", "first_token": False}


def measure(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    return {"made": way["precision"]}


@pytest.fixture(autouse=True)
def _tea(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDIES, "tea", Study("tea", [{"rate": 1}], range(2), measure, ["made"], AS_EXACT))
    quick = choice.Choice("bfloat16", "bytes", True, gain=3.0)
    monkeypatch.setattr(choice, "find_choice", lambda device: quick)


def study(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)], env={"COLUMNS": "200"})


def test_a_study_is_made_as_this_machine_is_quickest_unless_exact_and_goes_on_so(tmp_path: Path) -> None:
    quick = study("tea", "--out", tmp_path / "quick")
    assert quick.exit_code == 0, quick.output
    assert "runs in bfloat16, dropout drawn as bytes, 3.0 times as fast" in quick.stderr
    assert quick.stdout == "tea.csv: 2 runs, 0 of them raised an error\n"
    exact = study("tea", "--out", tmp_path / "exact", "--exact")
    assert "runs in float32, torch's own dropout" in exact.stderr
    again = study("tea", "--out", tmp_path / "exact")
    assert again.exit_code == 0, again.output
    assert "as this study began; this machine by itself: bfloat16, dropout drawn as bytes" in again.stderr
    made = [(tmp_path / name / "tea.csv").read_text() for name in ("quick", "exact")]
    assert ["bfloat16" in made[0], "bfloat16" in made[1]] == [True, False]


def test_a_study_that_does_not_exist_exits_2_and_lists_what_does() -> None:
    wrong = study("coffee")
    assert wrong.exit_code == 2
    assert "no study 'coffee'; there are bias_correction, freezing" in wrong.stderr


def measure_or_fail(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    if factors["rate"] == 2 and seed > 0:
        raise RuntimeError("diverged")
    return {"accuracy": 0.5 + seed / 100 + factors["rate"] / 10}


def test_a_study_says_its_verdicts_and_which_contrast_has_too_few_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cells = [{"rate": rate} for rate in (1, 2, 3)]
    monkeypatch.setitem(STUDIES, "tea", Study("tea", cells, range(3), measure_or_fail, ["accuracy"], AS_EXACT))
    contrasts = [Contrast(f"rate {rate}", "rate 1", {"rate": rate}, {"rate": 1}) for rate in (2, 3)]
    monkeypatch.setitem(FAMILIES, "tea", Family("tea", "tea", tuple(contrasts)))
    done = study("tea", "--out", tmp_path)
    assert done.exit_code == 1  # runs raised
    assert done.stdout.splitlines() == [
        "tea.csv: 9 runs, 2 of them raised an error",
        "tea, accuracy:",
        "  rate 3 lies above rate 1 by 0.200 (95 % interval +0.200 to +0.200, Holm p < 0.001, 3 seeds)",
        "  rate 2 against rate 1: 1 pairs: at least two seeds are needed to see a spread",
    ]
