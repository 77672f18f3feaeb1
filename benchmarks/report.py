"""Results as JSON, as a page, and as the README's table."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.pairs import OURS, Topic

FOLDER = Path(__file__).parent
README = FOLDER.parent / "README.md"
BEGIN, END = "<!-- speed: written by make bench -->", "<!-- /speed -->"
IN_README = {  # topic -> the side that the README compares with
    "headlines": "Trainer",
    "leads": "Trainer",
    "tutorial": "tutorial loop padded to 128",
    "head": "Trainer, same layers frozen",
    "predict": "pipeline(batch_size=32)",
}
Results = dict[str, dict[str, Any]]


def circumstances(topic: Topic, clock: str, trial: bool = False) -> dict[str, Any]:
    """When, where and with what a topic was measured; or that it was only tried."""
    return {
        "trial": trial,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{_processor()}, {torch.get_num_threads()} threads, {platform.system()}",
        "versions": ", ".join(f"{name} {version(name).split('+')[0]}" for name in ("torch", "transformers")),
        "clock": "processor" if trial else clock,
        "spent": topic.spent,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return names[0].split(":")[1].strip() if names else platform.machine()


def read_results(folder: Path = FOLDER) -> Results:
    """What was measured so far, by topic."""
    path = folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_results(results: Results, folder: Path = FOLDER) -> None:
    """Write results.json and RESULTS.md."""
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(results), encoding="utf-8")


def page(results: Results) -> str:
    """RESULTS.md."""
    return HEADING + "\n".join(line for name, topic in results.items() for line in _section(name, topic))


HEADING = """# Speed, measured

Written by `make bench`; change nothing here. All sides of a topic do the same work on the same model, texts, seeds
and epochs, each in a process of its own, in turn, round by round. A ratio is the other side's time divided by ours in
the same round: median, lowest to highest. Accuracies are means over the rounds' seeds, on validation texts, outside
the measured time. "No option" is the core as the lessons use it (length buckets, fused AdamW), with the compact
vocabulary and kept memory, which change no number; the first line adds options that do: mixed precision
(`TrainConfig(precision="bfloat16")`; not for predictions, whose probabilities must be equal, nor for the products),
`first_token.use_first_token`, where texts are longer than headlines `dropout.use_byte_dropout`, and for the products
`throughput.quick_products`, which is slower where attention is the fused kernel.

"""


def _section(name: str, topic: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}: {topic['work']}\n"
    time = "time by the clock" if topic["clock"] == "wall" else "processor time, since the machine was busy"
    if topic["trial"]:
        yield "**Only tried, with a few texts: it runs, and the figures below mean nothing.**\n"
    yield f"{topic['rounds']} rounds, {time}. {topic['machine']}; {topic['versions']}; {topic['date']}.\n"
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
    """The README's five lines; a topic that was only tried has none."""
    lines = [
        "| work | against | times as fast | accuracy, ours and theirs |",
        "|---|---|---|---|",
    ]
    for name, side in IN_README.items():
        topic = results.get(name)
        if topic is not None and not topic["trial"]:
            ours, theirs = (_number(topic["sides"][each]["accuracy"], ".3f") for each in (OURS, side))
            scores = f"{ours} and {theirs}" if ours else "equal answers"
            lines.append(f"| {topic['work']} | `{side}` | {topic['ratios'][side]['median']:.1f} | {scores} |")
    return "\n".join(lines)


def with_table(readme: str, results: Results) -> str:
    """The README with its table renewed. Raises ValueError when the two marks are missing."""
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"the README has no place for the table: {BEGIN} and {END} are missing")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{readme_table(results)}\n{END}{rest.split(END)[1]}"
