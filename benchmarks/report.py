"""Results as JSON, as a page, and as the README's table."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measured_once import LESSONS, PEERS, TRIED
from benchmarks.pairs import OURS, Topic

FOLDER = Path(__file__).parent
README = FOLDER.parent / "README.md"
BEGIN, END = "<!-- speed: written by make bench -->", "<!-- /speed -->"
IN_README = {  # topic -> the side that the README compares with
    "whole": "a script with the Trainer",
    "headlines": "Trainer",
    "leads": "Trainer",
    "tutorial": "tutorial loop padded to 128",
    "head": "Trainer, same layers frozen",
    "predict": "pipeline(batch_size=32)",
}
Results = dict[str, dict[str, dict[str, Any]]]  # topic -> machine -> what was measured there


def machine_name(machine: Mapping[str, Any]) -> str:
    """A machine as results are kept and shown by, from ``speed.machine.describe_machine``."""
    instructions = " ".join(machine["instructions"])
    return f"{machine['processor']} ({instructions}), {machine['threads']} threads, {platform.system()}"


def circumstances(topic: Topic, machine: Mapping[str, Any], clock: str, trial: bool = False) -> dict[str, Any]:
    """When and with what a topic was measured; or that it was only tried."""
    versions = {name: machine["versions"][name].split("+")[0] for name in ("torch", "transformers")}
    return {
        "trial": trial,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "clock": "processor" if trial else clock,
        "spent": topic.spent,
    }


def read_results(folder: Path = FOLDER) -> Results:
    """What was measured so far, by topic and machine."""
    path = folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_results(results: Results, folder: Path = FOLDER) -> None:
    """Write results.json and RESULTS.md into a folder, which is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(results), encoding="utf-8")


HEADING = """# Speed, measured

Written by `make bench`; change nothing here. All sides of a topic do the same work on the same model, texts, seeds
and epochs, each in a process of its own, in turn, round by round. A ratio is the other side's time divided by ours in
the same round: median, lowest to highest. Accuracies are means over the rounds' seeds, outside the measured time.

The first line is what `bertft train` and `bertft predict` do by default: the number format and the dropout that a
trial finds to be quick on the machine (`speed.choice`), length buckets, a compact vocabulary, kept memory, [CLS] alone
in the top layer. "Exact" is `--exact`: float32 and torch's own dropout, with only what changes no number. The
Trainer's lines are float32, bf16 where the processor has such numbers, and grouped by length.

"""


def page(results: Results) -> str:
    """RESULTS.md: the goals of all topics, each topic's table for each machine, all lessons, peers, what failed."""
    sections = (line for name, topic in results.items() for line in _section(name, topic))
    return HEADING + "\n".join([*_goals(results), *sections, LESSONS, PEERS, TRIED])


def _goals(results: Results) -> Iterator[str]:
    yield "## Goals\n"
    yield "| work | against | machine | goal | measured |"
    yield "|---|---|---|---|---|"
    for topic in results.values():
        for machine, found in topic.items():
            for side, ratio in found["ratios"].items():
                if ratio["goal"] is not None and not found["trial"]:
                    said = "" if ratio["reached"] else ", **not reached**"
                    goal = f"{ratio['goal']:g} | {ratio['median']:.2f}{said}"
                    yield f"| {found['work']} | {side} | {machine} | {goal} |"
    yield ""


def _section(name: str, machines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    works = {found["work"] for found in machines.values()}
    yield f"## {name}: {' / '.join(sorted(works))}\n"
    for machine, found in machines.items():
        yield from _on_machine(machine, found)


def _on_machine(machine: str, topic: Mapping[str, Any]) -> Iterator[str]:
    time = "time by the clock" if topic["clock"] == "wall" else "processor time, since the machine was busy"
    if topic["trial"]:
        yield "**Only tried, with a few texts: it runs, and the figures below mean nothing.**\n"
    yield f"{machine}. {topic['rounds']} rounds, {time}; {topic['versions']}; {topic['date']}.\n"
    yield "| side | seconds | accuracy | ratio | lowest to highest | goal |"
    yield "|---|---|---|---|---|---|"
    for side, row in topic["sides"].items():
        accuracy, ratio = _number(row["accuracy"], ".3f"), _ratio(topic["ratios"].get(side))
        if topic["trial"]:
            ratio = " | | "
        yield f"| {side} | {row['seconds']:g} | {accuracy} | {ratio} |"
    yield ""
    for side, row in topic["sides"].items():
        for figure, value in row["figures"].items():
            yield f"- {side}: {figure}: {value:,}"
    yield f"- Where the time goes: {topic['spent']}.\n"


def _ratio(ratio: Mapping[str, Any] | None) -> str:
    if ratio is None:
        return " | | "
    goal = "" if ratio["goal"] is None else f"{ratio['goal']:g}: {'reached' if ratio['reached'] else 'not reached'}"
    return f"{ratio['median']:.2f} | {ratio['lowest']:.2f} to {ratio['highest']:.2f} | {goal}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def readme_table(results: Results) -> str:
    """The README's tables, one for each machine; a topic that was only tried there has no line."""
    lines: dict[str, list[str]] = {}
    for name, side in IN_README.items():
        for machine, topic in results.get(name, {}).items():
            if not topic["trial"]:
                ours, theirs = (_number(topic["sides"][each]["accuracy"], ".3f") for each in (OURS, side))
                scores = f"{ours} and {theirs}" if ours else "equal answers"
                row = f"| {topic['work']} | `{side}` | {topic['ratios'][side]['median']:.1f} | {scores} |"
                lines.setdefault(machine, []).append(row)
    head = "| work | against | times as fast | accuracy, ours and theirs |\n|---|---|---|---|"
    return "\n\n".join("\n".join([f"{machine}:\n", head, *rows]) for machine, rows in lines.items())


def with_table(readme: str, results: Results) -> str:
    """The README with its table renewed. Raises ValueError when the two marks are missing."""
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"the README has no place for the table: {BEGIN} and {END} are missing")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{readme_table(results)}\n{END}{rest.split(END)[1]}"
