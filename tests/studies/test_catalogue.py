"""The committed studies are complete, and their rows come out again when they are run again."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from bertft_helpers.evaluation import Evaluation
from bertft_helpers.speed.machine import describe_machine
from bertft_helpers.studies import catalogue as studies
from bertft_helpers.studies.catalogue import STUDIES, find_study, stored_results
from bertft_helpers.studies.experiments import Study
from bertft_helpers.studies.families import verdicts_of
from bertft_helpers.studies.rows import open_rows
from bertft_helpers.studies.summaries import paired_difference

MADE_ON = "AuthenticAMD 25 17"  # the processor of the stored rows: maker, family, model
MADE_ELSEWHERE = dict.fromkeys(
    ["defaults", "early_stopping", "pretraining", "quick_training", "second_look", "short_plan", "texts_or_steps"],
    "AuthenticAMD 26 2",
) | {"further_defaults": "AuthenticAMD 25 1"}
# Elsewhere sums are rounded differently in their last bit, and training amplifies that: the same seed then ends on a
# slightly different model. What it may differ by is what two seeds differ by (standard deviation 0.01 to 0.02 of
# accuracy), twice over, and that of the loss, which also counts how sure an answer is.
TOLERANCE = {
    **{"accuracy": 0.03, "macro_f1": 0.04, "loss": 0.15},
    **dict.fromkeys(["chosen_accuracy", "fresh_accuracy", "last_accuracy"], 0.05),
    **{"features_accuracy": 0.03, "masked_accuracy": 0.02, "masked_loss": 0.2},
}
EXACT_EVERYWHERE = ("tokens", "steps", "trainable_parameters", "failed")
CHEAP = {  # two runs of each study: what tells the cell from the others, and a seed
    "bias_correction": [
        ({"bias_correction": True, "learning_rate": 1e-4}, 1),
        ({"bias_correction": False, "learning_rate": 1e-4}, 2),
    ],
    "freezing": [({"frozen": "features"}, 0), ({"frozen": "6 layers"}, 1)],
    "learning_rates": [
        ({"per_class": 15, "learning_rate": 1e-4}, 0),
        ({"per_class": 15, "learning_rate": 3e-4}, 1),
    ],
    "batch_sizes": [
        ({"batch_size": 4, "learning_rate": 2e-4, "max_steps": 39}, 0),
        ({"batch_size": 64, "learning_rate": 2e-4, "max_steps": None}, 1),
    ],
    "quick_training": [
        ({"precision": "bfloat16", "masks": "bytes"}, 0),
        ({"precision": "float32", "masks": "bytes"}, 1),
    ],
    "short_plan": [({"flipped": 0.2}, 0), ({"flipped": 0.2}, 1)],
    "texts_or_steps": [({"learning_rate": 1e-4}, 0), ({"learning_rate": 3e-4}, 1)],
    "second_look": [
        ({"texts": "headlines drawn again", "per_class": 10}, 0),
        ({"texts": "lead or later", "per_class": 25, "frozen": "features, tuned"}, 1),
    ],
    # What is stored of the 150 steps is made again by lesson A1 alone: they take minutes.
    "pretraining": [({"pretraining_steps": 0}, 0), ({"pretraining_steps": 0}, 1)],
    "defaults": [({"per_class": 5, "least_steps": 0}, 0), ({"per_class": 10, "reading": "mean"}, 1)],
    "further_defaults": [
        ({"texts": "headlines", "uneven": True, "class_weights": True}, 0),
        ({"per_class": 60, "reading": "identity"}, 1),
    ],
    "small_data": [
        ({"per_class": 5, "frozen": "features"}, 0),
        ({"per_class": 5, "frozen": "3 layers"}, 1),
    ],
}
BY_MAKE_TEST = ("freezing", "learning_rates", "quick_training", "defaults")  # the first run of each
RERUNS = [
    pytest.param(name, *run, id=f"{name}-{number}", marks=() if first else pytest.mark.thorough)
    for name, runs in CHEAP.items()
    for number, run in enumerate(runs)
    for first in [number == 0 and name in BY_MAKE_TEST]
]
STOPPED = [  # both end after two epochs
    pytest.param({"flipped": 0.0, "patience": 1}, 0, id="clean"),
    pytest.param({"flipped": 0.2, "patience": 1}, 9, id="flipped", marks=pytest.mark.thorough),
]


def run_of(row: Mapping[str, Any], study: Study) -> tuple[str, ...]:
    """Factors and seed as a results file writes them."""
    return tuple("" if row[name] is None else str(row[name]) for name in [*study.factors, "seed"])


@pytest.fixture
def copy_of(tmp_path: Path) -> Iterator[Any]:
    """A copy of a committed results file: opening one may repair it."""

    def copy(name: str) -> Path:
        with as_file(files("bertft_helpers.study_results") / f"{name}.csv") as committed:
            assert committed.is_file(), f"no committed results of {name}"
            (tmp_path / committed.name).write_bytes(committed.read_bytes())
        return tmp_path / f"{name}.csv"

    return copy


@pytest.mark.parametrize("name", STUDIES)
def test_a_committed_study_has_every_run_once_and_none_that_raised(name: str, copy_of: Any) -> None:
    study, notices = find_study(name), []
    rows = open_rows(copy_of(name), study.header, notices.append)  # refuses another version, settings or columns
    assert notices == []  # no line was cut off
    found = Counter(run_of(row, study) for row in rows)
    wanted = {run_of({**cell, "seed": seed}, study) for cell in study.cells for seed in study.seeds}
    assert sorted(wanted - set(found)) == [], "missing"
    assert sorted(set(found) - wanted) == [], "not of this study"
    assert [run for run, times in found.items() if times > 1] == [], "more than once"
    assert [row["error"] for row in rows if row["error"]] == []


@pytest.mark.parametrize("name", STUDIES)
def test_no_factor_of_a_study_is_measured_too(name: str) -> None:
    """One column cannot hold both: the measurement would be stored as the factor."""
    study = find_study(name)
    assert sorted(set(study.factors) & set(study.measurements)) == []


def test_every_study_is_run_again_here() -> None:
    assert sorted([*CHEAP, "early_stopping"]) == sorted(STUDIES)


def cell_of(study: Study, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The first cell of a study that has the chosen factors."""
    return next(dict(cell) for cell in study.cells if all(cell[name] == value for name, value in chosen.items()))


def stored_row(name: str, cell: Mapping[str, Any], seed: int) -> pd.Series:
    """The one stored row of a cell and seed; an empty field is None."""
    rows = stored_results(name)
    for factor, value in {**cell, "seed": seed}.items():
        rows = rows[rows[factor].isna() if value is None else rows[factor] == value]
    assert len(rows) == 1, f"{len(rows)} rows of {name} have {dict(cell)} and seed {seed}"
    return rows.iloc[0]


def processor() -> str:
    """Maker, family and model of the processor as Linux gives them; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return " ".join(known.get(name, "?") for name in ("vendor_id", "cpu family", "model"))


def is_exact(name: str, row: pd.Series) -> bool:
    """Whether a run of a study here must give the stored row to the last bit: same processor, same libraries."""
    here = f"torch {version('torch')}, transformers {version('transformers')}"
    return processor() == MADE_ELSEWHERE.get(name, MADE_ON) and row.get("versions", here) == here


def assert_comes_out_again(study: str, measured: Mapping[str, Any], row: pd.Series) -> None:
    exact = is_exact(study, row)
    for name, value in measured.items():
        if name in EXACT_EVERYWHERE or (exact and name in {*TOLERANCE, "stopped_after", "best_epoch"}):
            assert value == row[name], name
        elif name in TOLERANCE:
            assert value == pytest.approx(row[name], abs=TOLERANCE[name]), name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "chosen", "seed"), RERUNS)
def test_a_run_again_gives_the_stored_row(name: str, chosen: dict[str, Any], seed: int) -> None:
    study = find_study(name)
    cell = cell_of(study, chosen)
    assert_comes_out_again(name, measured_here(study, cell, seed), stored_row(name, cell, seed))


def measured_here(study: Study, cell: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A run as it is stored, but in float32 where the processor has no products in bfloat16.

    Without them they take ten times as long; the rows of another processor are compared with a tolerance anyway.
    """
    here = describe_machine(torch.device("cpu"))["instructions"]
    if not {"avx512_bf16", "amx_bf16", "bf16"} & {*here}:
        if cell.get("precision") == "bfloat16":
            return study.measure({**cell, "precision": "float32"}, seed)
        if study.settings.get("precision") == "bfloat16":
            return study.measure(dict(cell), seed, precision="float32")
    return study.measure(dict(cell), seed)


@pytest.mark.parametrize("way", [("bfloat16", "bytes"), ("float32", "bytes")])
def test_what_trains_quicker_is_as_accurate_over_ten_seeds(way: tuple[str, str]) -> None:
    """The mean difference to the exact way, on the same seeds, is smaller than what seeds differ by."""
    rows = stored_results("quick_training").set_index(["precision", "masks", "seed"])
    exact, quick = (rows.loc[each] for each in (("float32", "torch"), way))
    for score in ("accuracy", "macro_f1", "loss"):
        difference = paired_difference(quick[score], exact[score])
        assert difference.pairs == 10
        assert abs(difference.mean) < exact[score].std(), score
    assert not quick["failed"].any()


def test_a_difference_that_matters_between_the_quick_ways_and_the_exact_one_is_ruled_out() -> None:
    verdicts = verdicts_of("quick_training")
    assert [verdict.p_same < 0.05 for verdict in verdicts] == [True, True], [str(verdict) for verdict in verdicts]


@pytest.fixture
def two_epochs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out the training after the second epoch, and call what comes then worthless: it changes no earlier stop."""
    train, evaluate, epochs = studies.train_epoch, studies.evaluate, []

    def train_two(model: Any, *rest: Any) -> Any:
        epochs.append(train(model, *rest) if len(epochs) < 2 else epochs[-1])
        return epochs[-1]

    def evaluate_two(*parts: Any) -> Evaluation:
        return evaluate(*parts) if len(epochs) <= 2 else Evaluation(0.0, 0.0, 1)

    monkeypatch.setattr(studies, "train_epoch", train_two)
    monkeypatch.setattr(studies, "evaluate", evaluate_two)
    studies.stopping_curve.cache_clear()
    yield
    studies.stopping_curve.cache_clear()  # no other test may meet the shortened curve


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "seed"), STOPPED)
def test_a_stopped_run_again_gives_the_stored_row(cell: dict[str, Any], seed: int, two_epochs: None) -> None:
    row = stored_row("early_stopping", cell, seed)
    assert row["stopped_after"] == 2  # or else this test would train too little
    assert_comes_out_again("early_stopping", studies.measure_stopping(cell, seed), row)


def test_a_row_that_does_not_come_out_again_is_noticed() -> None:
    row = pd.Series({"accuracy": 0.8, "steps": 57, "versions": "torch 0.0"})
    assert_comes_out_again("freezing", {"accuracy": 0.82, "steps": 57}, row)  # other libraries: within the tolerance
    for measured in ({"accuracy": 0.84}, {"steps": 58}):
        with pytest.raises(AssertionError):
            assert_comes_out_again("freezing", measured, row)
