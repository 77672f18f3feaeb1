"""The benchmarks: all sides run, ratios are taken round by round, and README and RESULTS.md say what was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import pairs, report  # noqa: E402
from benchmarks.__main__ import TOPICS, main  # noqa: E402
from benchmarks.pairs import OURS, Goal, Topic  # noqa: E402

RESULTS = report.read_results()


def topic(**changes: object) -> Topic:
    settings = {"work": "add", "size": {}, "tiny": {}, "sides": {}, "goals": [Goal("peer", 2.0)], "spent": "adding"}
    return Topic("adding", **{**settings, **changes})


def rows(seconds: list[float], **columns: list) -> list[dict]:
    return [
        {"seconds": each, **{name: values[row] for name, values in columns.items()}} for row, each in enumerate(seconds)
    ]


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() -> None:
    found = pairs.summarize(topic(), {OURS: rows([1.0, 2.0, 4.0]), "peer": rows([3.0, 2.0, 8.0])})
    assert found["sides"][OURS]["seconds"] == 2.0
    assert found["ratios"]["peer"] == {"median": 2.0, "lowest": 1.0, "highest": 3.0, "goal": 2.0, "reached": True}


@pytest.mark.parametrize(("theirs", "reached"), [(1.99, False), (2.0, True)])
def test_a_goal_is_reached_or_not(theirs: float, reached: bool) -> None:
    found = pairs.summarize(topic(), {OURS: rows([1.0]), "peer": rows([theirs])})
    assert found["ratios"]["peer"]["reached"] is reached
    section = report.page({"adding": {**found, **report.circumstances(topic(), "wall")}})
    assert ("2: not reached" in section) is not reached


def test_accuracies_are_means_and_figures_medians_over_the_rounds() -> None:
    ours = rows([1.0, 1.0, 1.0], accuracy=[0.5, 0.6, 0.9], figures=[{"MB": 1.0}, {"MB": 5.0}, {"MB": 2.0}])
    found = pairs.summarize(topic(), {OURS: ours, "peer": rows([1.0, 1.0, 1.0])})
    assert found["sides"][OURS] == {"seconds": 1.0, "accuracy": pytest.approx(0.667), "figures": {"MB": 2.0}}
    assert found["sides"]["peer"]["accuracy"] is None


def test_sides_that_disagree_are_refused() -> None:
    same = topic(same={"probabilities": 1e-4})
    ours, theirs = rows([1.0], probabilities=[np.zeros(3)]), rows([1.0], probabilities=[np.array([0, 0, 0.001])])
    pairs.require_same(same, {OURS: ours, "peer": ours})
    with pytest.raises(ValueError, match=r"adding: probabilities of peer differs by 0\.001; 0\.0001 is allowed"):
        pairs.require_same(same, {OURS: ours, "peer": theirs})


def test_the_order_of_the_sides_turns_and_all_sides_of_a_round_have_its_seed(monkeypatch) -> None:
    calls = []

    class Here:
        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, work, size, seed):
            return type("Done", (), {"result": lambda _: work(size, seed)})()

    def side(name: str):
        return lambda size, seed: calls.append((name, size["texts"], seed)) or {"seconds": 1.0}

    monkeypatch.setattr(pairs, "_own_process", Here)
    small = topic(size={"texts": 100}, tiny={"texts": 1}, sides={OURS: side("a"), "peer": side("b")})
    assert len(pairs.run_rounds(small, 2, "wall")[OURS]) == 2
    assert calls == [("a", 1, 0), ("b", 1, 0), ("a", 100, 0), ("b", 100, 0), ("b", 100, 1), ("a", 100, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", TOPICS)
def test_every_side_of_every_topic_runs(name: str, tmp_path: Path) -> None:
    main(["--tiny", "--only", name, "--out", str(tmp_path)])
    (measured,) = report.read_results(tmp_path).values()
    assert set(measured["sides"]) == set(TOPICS[name].sides)
    assert {goal.against for goal in TOPICS[name].goals} <= set(measured["ratios"])
    assert f"## {name}: " in (tmp_path / "RESULTS.md").read_text()


def test_a_tiny_run_never_replaces_results() -> None:
    with pytest.raises(SystemExit, match="--tiny measures nothing: give --out FOLDER"):
        main(["--tiny"])


@pytest.mark.parametrize("arguments", [["--only", "tea"], ["--pairs", "0"], ["--clock", "sun"]])
def test_what_cannot_be_measured_ends_with_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_the_readme_has_the_table_of_what_was_measured() -> None:
    readme = (ROOT / "README.md").read_text()
    assert report.with_table(readme, RESULTS) == readme


def test_the_table_shows_the_medians_of_what_was_measured_and_nothing_of_a_trial() -> None:
    found = pairs.summarize(topic(), {OURS: rows([1.0], accuracy=[0.8]), "Trainer": rows([1.84], accuracy=[0.81])})
    measured, tried = ({**found, **report.circumstances(topic(), "wall", trial)} for trial in (False, True))
    table = report.readme_table({"headlines": measured, "leads": tried})
    assert table.splitlines()[2:] == ["| add | `Trainer` | 1.8 | 0.800 and 0.810 |"]
    assert "Only tried" in report.page({"leads": tried})
    assert "Only tried" not in report.page({"headlines": measured})


def test_a_readme_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="the README has no place for the table"):
        report.with_table("# Title", RESULTS)


def test_the_page_of_results_is_written_from_the_stored_figures() -> None:
    assert report.page(RESULTS) == (ROOT / "benchmarks" / "RESULTS.md").read_text()


def test_results_are_those_of_topics_and_sides_that_exist() -> None:
    assert [name for name in RESULTS if name not in TOPICS] == []
    assert {name: set(found["sides"]) for name, found in RESULTS.items()} == {
        name: set(TOPICS[name].sides) for name in RESULTS
    }
