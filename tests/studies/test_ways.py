"""A study goes on as it began, also on another machine; a new one is made as this machine is quickest."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from bertft_helpers.errors import UserError
from bertft_helpers.speed.choice import EXACT, Choice
from bertft_helpers.studies.catalogue import find_study
from bertft_helpers.studies.experiments import Study, run_study
from bertft_helpers.studies.ways import in_the_way_of

QUICK = Choice("bfloat16", "bytes", True, gain=3.0)
AS_EXACT = {"precision": "float32", "masks": "torch", "first_token": False}
AS_QUICK = {"precision": "bfloat16", "masks": "bytes", "first_token": True}


def measure(factors: dict[str, Any], seed: int, **way: Any) -> dict[str, Any]:
    return {"made": f"{way['precision']}, {way['masks']}"}


def study(seeds: int = 1) -> Study:
    return Study("tea", [{"rate": 1}], range(seeds), measure, ["made"], {"sugar": 2, **AS_EXACT})


@pytest.mark.parametrize(("here", "way"), [(QUICK, AS_QUICK), (EXACT, AS_EXACT)])
def test_a_new_study_is_made_as_this_machine_is_quickest(tmp_path: Path, here: Choice, way: dict) -> None:
    said: list[str] = []
    found = in_the_way_of(tmp_path / "tea.csv", study(), here, said.append)
    assert found.settings == {"sugar": 2, **way}
    assert list(run_study(found, tmp_path / "tea.csv")["made"]) == [f"{way['precision']}, {way['masks']}"]
    assert said[0].startswith(f"runs in {way['precision']}, ")


def test_a_study_goes_on_as_it_began_and_says_what_this_machine_would_take(tmp_path: Path) -> None:
    path, said = tmp_path / "tea.csv", []
    run_study(in_the_way_of(path, study(), QUICK, said.append), path)
    rows = run_study(in_the_way_of(path, study(2), EXACT, said.append), path)
    assert list(rows["made"]) == ["bfloat16, bytes"] * 2
    assert said[1] == (
        "runs in bfloat16, dropout drawn as bytes, as this study began; "
        "this machine by itself: float32, torch's own dropout"
    )


def test_a_file_that_says_no_way_is_another_study(tmp_path: Path) -> None:
    path = tmp_path / "tea.csv"
    plain = Study("tea", [{"rate": 1}], [0], lambda factors, seed: {"made": ""}, ["made"], {"sugar": 2})
    run_study(plain, path)
    with pytest.raises(UserError, match="was made by another study or version: settings"):
        run_study(in_the_way_of(path, study(), QUICK, lambda line: None), path)


def test_a_study_that_compares_ways_stays_as_it_is(tmp_path: Path) -> None:
    compares = Study("tea", [dict(AS_QUICK), dict(AS_EXACT)], [0], measure, ["made"], {"sugar": 2})
    assert in_the_way_of(tmp_path / "new.csv", compares, QUICK, pytest.fail) is compares


def test_a_study_in_a_way_travels_to_other_processes(tmp_path: Path) -> None:
    found = in_the_way_of(tmp_path / "new.csv", find_study("freezing"), QUICK, lambda line: None)
    assert pickle.loads(pickle.dumps(found.measure)).keywords == AS_QUICK
