"""The benchmarks: all sides run, ratios are taken round by round, and README and RESULTS.md say what was measured."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig

from bertft_helpers.speed.machine import describe_machine

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import long_texts, multiplications, pairs, report  # noqa: E402
from benchmarks.__main__ import TOPICS, main  # noqa: E402
from benchmarks.pairs import OURS, Goal, Topic  # noqa: E402

RESULTS = report.read_results()
LONGEST = ("whole", "stories")  # of the topics, even in their tiny form
MACHINE = {
    "processor": "Xeon",
    "instructions": ["avx2", "amx_bf16"],
    "threads": 2,
    "versions": {"torch": "2.13.0+cpu", "transformers": "5.23.0"},
}


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
    section = report.page({"adding": {"here": {**found, **report.circumstances(topic(), MACHINE, "wall")}}})
    assert ("| 2: not reached |" in section) is not reached
    assert ("**not reached**" in section) is not reached


def test_goals_and_sides_are_those_of_the_processor() -> None:
    goals = [Goal("peer", 2.0, amx=4.0), Goal("other", None, amx=3.0)]
    assert [goal.on(["avx2"]) for goal in goals] == [2.0, None]
    assert [goal.on(["avx2", "amx_bf16"]) for goal in goals] == [4.0, 3.0]
    both = topic(sides={OURS: None, "bf16": None}, needs_bfloat16=["bf16"])
    assert list(both.on(["avx2"]).sides) == [OURS]
    assert list(both.on(["avx512_bf16"]).sides) == [OURS, "bf16"]


def test_operations_are_counted_from_shapes() -> None:
    """Two layers of width 4 and inner width 8 with two heads, two texts of three tokens.

    A layer: four products 6 x 4 x 4, two 6 x 4 x 8, and in each of 2 x 2 heads 3 x 2 x 3 twice: 912 multiplications,
    each two operations, forward and twice backward. For [CLS] alone: query and output 2 x 4 x 4, key and value
    6 x 4 x 4, two 2 x 4 x 8, and in the heads 1 x 2 x 3 twice: 432.
    """
    config = BertConfig(hidden_size=4, intermediate_size=8, num_attention_heads=2, num_hidden_layers=2)
    assert multiplications.operations(config, 2, 3) == 6 * (912 + 912)
    assert multiplications.operations(config, 2, 3, first_token=True) == 6 * (912 + 432)


def test_the_share_of_speed_is_that_of_the_machines_own_products(monkeypatch) -> None:
    monkeypatch.setattr(multiplications, "speed", lambda precision, clock: {"float32": 100.0}[precision])
    (share,) = multiplications.share_of_speed(150.0, 2.0, "float32", "wall").values()
    assert share == 75.0


def test_accuracies_are_means_and_figures_medians_over_the_rounds() -> None:
    ours = rows([1.0, 1.0, 1.0], accuracy=[0.5, 0.6, 0.9], figures=[{"MB": 1.0}, {"MB": 5.0}, {"MB": 2.0}])
    found = pairs.summarize(topic(), {OURS: ours, "peer": rows([1.0, 1.0, 1.0])})
    assert found["sides"][OURS] == {"seconds": 1.0, "accuracy": pytest.approx(0.667), "figures": {"MB": 2.0}}
    assert found["sides"]["peer"]["accuracy"] is None


def test_sides_that_disagree_are_refused() -> None:
    same = topic(same={"probabilities": 1e-4}, needs_bfloat16=["in 16 bits"])
    ours, theirs = rows([1.0], probabilities=[np.zeros(3)]), rows([1.0], probabilities=[np.array([0, 0, 0.001])])
    pairs.require_same(same, {OURS: ours, "peer": ours, "in 16 bits": theirs})
    with pytest.raises(ValueError, match=r"adding: probabilities of peer differs by 0\.001; 0\.0001 is allowed"):
        pairs.require_same(same, {OURS: ours, "peer": theirs})
    with pytest.raises(KeyError, match="probabilities"):
        pairs.require_same(same, {OURS: ours, "peer": rows([1.0])})


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

    monkeypatch.setattr(pairs, "own_process", Here)
    small = topic(size={"texts": 100}, tiny={"texts": 1}, sides={OURS: side("a"), "peer": side("b")})
    assert len(pairs.run_rounds(small, 2, "wall")[OURS]) == 2
    assert calls == [("a", 1, 0), ("b", 1, 0), ("a", 100, 0), ("b", 100, 0), ("b", 100, 1), ("a", 100, 1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.thorough if name in LONGEST else ()) for name in TOPICS]
)
def test_every_side_of_every_topic_runs(name: str, tmp_path: Path) -> None:
    main(["--tiny", "--only", name, "--out", str(tmp_path)])
    (measured,) = report.read_results(tmp_path)[name].values()
    here = describe_machine(torch.device("cpu"))["instructions"]
    assert set(measured["sides"]) == set(TOPICS[name].on(here).sides)
    assert {goal.against for goal in TOPICS[name].goals} <= set(TOPICS[name].sides)
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
    measured, tried = ({**found, **report.circumstances(topic(), MACHINE, "wall", trial)} for trial in (False, True))
    table = report.readme_table({"headlines": {"A": measured, "B": measured}, "leads": {"A": tried}})
    first, second = table.split("\n\nB:\n\n")
    assert first.startswith("A:\n\n| work | against |")
    assert first.splitlines()[-1] == second.splitlines()[-1] == "| add | `Trainer` | 1.8 | 0.800 and 0.810 |"
    assert len(second.splitlines()) == 3
    assert "Only tried" in report.page({"leads": {"A": tried}})
    assert "Only tried" not in report.page({"headlines": {"A": measured}})


def test_a_machine_is_named_by_processor_and_instruction_sets() -> None:
    assert report.machine_name(MACHINE).startswith("Xeon (avx2 amx_bf16), 2 threads, ")


def test_a_readme_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="the README has no place for the table"):
        report.with_table("# Title", RESULTS)


def test_the_page_of_results_is_written_from_the_stored_figures() -> None:
    assert report.page(RESULTS) == (ROOT / "benchmarks" / "RESULTS.md").read_text()


def test_results_are_those_of_topics_and_sides_that_exist() -> None:
    assert [name for name in RESULTS if name not in TOPICS] == []
    for name, machines in RESULTS.items():
        for found in machines.values():  # an earlier version may have had fewer sides
            assert set(found["sides"]) <= set(TOPICS[name].sides)


@pytest.mark.slow
def test_ways_to_read_long_texts_are_compared_on_the_same_stories() -> None:
    lines = long_texts.table(24).splitlines()
    assert re.fullmatch(r"24 stories, \d+% of them longer than 256 tokens", lines[0])
    ways = [line.split(" | ")[:2] for line in lines[4:]]
    assert ways == [
        [f"| {question}", way] for question in ("desk", "money") for way in ("head", "head+tail", "mean", "max")
    ]
    assert [line.split(" | ")[4] for line in lines[4:] if "| head+tail |" in line] == ["1", "1"]
