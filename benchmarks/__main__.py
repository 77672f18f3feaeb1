"""``python -m benchmarks``: measure all topics, or some, and write results.json, RESULTS.md and the README's table."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import finetune, freezing, prediction, preparation, products, report, whole
from benchmarks.pairs import Row, Topic, run_rounds, run_tiny, summarize
from bertft_helpers.runtime import quiet_libraries
from bertft_helpers.speed.machine import describe_machine

MODULES = finetune, freezing, prediction, preparation, products, whole
TOPICS: dict[str, Topic] = {topic.name: topic for module in MODULES for topic in module.TOPICS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write; a topic that was measured is stored at once, so that one can be redone without the others."""
    asked = _parser().parse_args(arguments)
    if asked.tiny and asked.out == report.FOLDER:
        raise SystemExit("--tiny measures nothing: give --out FOLDER, so that no result is replaced")
    quiet_libraries()
    machine = describe_machine(torch.device("cpu"))
    for name in asked.only or TOPICS:
        topic, start = TOPICS[name].on(machine["instructions"]), time.perf_counter()
        rows = run_tiny(topic) if asked.tiny else run_rounds(topic, asked.pairs, asked.clock)
        summary = summarize(topic, rows, machine["instructions"])
        summary |= report.circumstances(topic, machine, asked.clock, asked.tiny)
        _store(name, report.machine_name(machine), summary, asked.out)
        ratios = ", ".join(f"{ratio['median']:.2f} x {side}" for side, ratio in summary["ratios"].items())
        print(f"{name}: {ratios} ({time.perf_counter() - start:.0f} s)", flush=True)
    if asked.out == report.FOLDER:
        readme = report.README.read_text(encoding="utf-8")
        report.README.write_text(report.with_table(readme, report.read_results()), encoding="utf-8")


def _store(name: str, machine: str, summary: Row, folder: Path) -> None:
    """Put a topic's figures beside those of other machines; the topics keep their order."""
    results = report.read_results(folder)
    results = {**results, name: {**results.get(name, {}), machine: summary}}
    report.write_results({each: results[each] for each in TOPICS if each in results}, folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(TOPICS), metavar="NAME", help=f"of {', '.join(TOPICS)}")
    parser.add_argument("--pairs", type=_at_least_one, default=5, help="rounds in which every side runs once (5)")
    parser.add_argument(
        "--clock", choices=["wall", "processor"], default="wall", help="processor: on a machine that does other work"
    )
    parser.add_argument("--tiny", action="store_true", help="a few texts: shows that everything runs, measures nothing")
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where results.json and RESULTS.md go")
    return parser


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    main()
