"""The command ``bertft``. Exit codes: 0 all well, 1 the work failed, 2 bad usage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from bertft_helpers import own_texts, publishing
from bertft_helpers.console import AsJson, error_console, out_console, reported

# Everything else is imported inside the commands: help and completion must answer at once.
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Run, store and check the lessons of 'Fine-tuning BERT in PyTorch', and fine-tune BERT on your own texts.",
)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NN ...]", help="Lessons by number or name; all if none.")]
Folder = Annotated[Path | None, typer.Option("--notebooks", help="Folder of the lessons.", file_okay=False)]
CellTimeout = Annotated[int, typer.Option("--cell-timeout", min=1, help="Seconds that one cell may take.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Lessons executed side by side.")]


@app.command()
@reported
def doctor(as_json: AsJson = False) -> None:
    """Examine this machine: exit 1 when a lesson would fail here, with a remedy for each finding."""
    import json
    from dataclasses import asdict

    from bertft_helpers.series.doctor import examine

    findings = examine(Path.cwd())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            _print_finding(finding.subject, finding.status, finding.found, finding.remedy)
    raise typer.Exit(1 if any(finding.status == "fail" for finding in findings) else 0)


def _print_finding(subject: str, status: str, found: str, remedy: str) -> None:
    style = {"ok": "green", "note": "yellow", "fail": "bold red"}[status]
    out_console.print(f"{status:<5}", style=style, end="")
    out_console.print(f"{subject:<20} {found}", markup=False, highlight=False, soft_wrap=True)
    if remedy:
        out_console.print(f"{'':26}-> {remedy}", markup=False, highlight=False, soft_wrap=True)


class PairedParameters(TyperCommand):
    """A command that takes ``-p NAME VALUE`` any number of times, as papermill does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join each pair to one value: the option parser has no lists of pairs."""
        joined, rest = [], list(args)
        while rest:
            word = rest.pop(0)
            if word == "-p" and len(rest) >= 2 and "=" not in rest[0]:
                joined += ["-p", f"{rest.pop(0)}={rest.pop(0)}"]
            else:
                joined.append(word)
        return super().parse_args(ctx, joined)


@app.command(cls=PairedParameters)
@reported
def run(
    names: Names = None,
    profile: Annotated[str, typer.Option("--profile", help="cpu (the lessons' own values), smoke, gpu, ...")] = "cpu",
    parameter: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME VALUE", help="Override a parameter.")
    ] = None,
    jobs: Jobs = 1,
    out: Annotated[Path, typer.Option("--out", help="Folder for executed lessons.", file_okay=False)] = Path("build"),
    cell_timeout: CellTimeout = 240,
    notebooks: Folder = None,
) -> None:
    """Execute lessons into a folder; the lessons themselves stay as they are."""
    from bertft_helpers.series import catalogue, report

    folder = notebooks or catalogue.find_folder()
    lessons = catalogue.select_lessons(folder, names or [])
    extra = catalogue.parse_overrides(parameter or [])
    plan = catalogue.plan_parameters(folder, lessons, profile, extra)
    outcomes = _execute(lessons, plan, out, cell_timeout, jobs)
    report.write_run(outcomes, out, profile)
    report.print_table(outcomes, out_console)
    out_console.print(f"see {out / 'index.html'}", markup=False, soft_wrap=True)
    raise typer.Exit(0 if all(outcome.ok for outcome in outcomes) else 1)


@app.command()
@reported
def store(names: Names = None, jobs: Jobs = 1, cell_timeout: CellTimeout = 240, notebooks: Folder = None) -> None:
    """Execute lessons at their own values and store the outputs in them; a lesson that fails is left as it was."""
    import tempfile

    from bertft_helpers.series import catalogue, report, storing
    from bertft_helpers.series.notebook import read_notebook, write_notebook

    lessons = catalogue.select_lessons(notebooks or catalogue.find_folder(), names or [])
    with tempfile.TemporaryDirectory(prefix="bertft-store-") as scratch:
        outcomes = _execute(lessons, {}, Path(scratch), cell_timeout, jobs)
        for lesson, outcome in zip(lessons, outcomes, strict=True):
            if outcome.ok:
                executed = read_notebook(Path(scratch) / f"{lesson.name}.ipynb")
                write_notebook(storing.with_outputs(read_notebook(lesson.path), executed), lesson.path)
    report.print_table(outcomes, out_console)
    raise typer.Exit(0 if all(outcome.ok for outcome in outcomes) else 1)


@app.command()
@reported
def check(
    names: Names = None,
    execute: Annotated[bool, typer.Option("--execute", help="Also run the cells and compare their outputs.")] = False,
    jobs: Jobs = 1,
    cell_timeout: CellTimeout = 240,
    as_json: AsJson = False,
    notebooks: Folder = None,
) -> None:
    """Check stored lessons: their files, and with --execute their outputs against a fresh run."""
    import json

    from bertft_helpers.series import catalogue, comparison, gates

    folder = notebooks or catalogue.find_folder()
    lessons = catalogue.select_lessons(folder, names or [])
    problems = [problem for lesson in lessons for problem in gates.check_lesson(lesson.path)]
    if not names:
        problems += gates.check_folder(folder)
    equal = comparison.compare_outputs(lessons, cell_timeout, jobs, to_stderr=as_json) if execute else None
    if as_json:
        print(json.dumps({"problems": [problem.as_dict() for problem in problems], "outputs_equal": equal}))
    else:
        for problem in problems:
            out_console.print(str(problem), markup=False, highlight=False, soft_wrap=True)
        out_console.print(f"{len(lessons)} lessons, {len(problems)} problems in their files", highlight=False)
    raise typer.Exit(1 if problems or equal is False else 0)


@app.command("map")
@reported
def write_map(
    run_file: Annotated[Path, typer.Option("--run", help="run.json of a complete run.")] = Path("build/run.json"),
    notebooks: Folder = None,
) -> None:
    """Write notebooks/README.md: question, lesson, graduates, minutes and memory of the last run; and the picture."""
    from bertft_helpers.series import catalogue, overview
    from bertft_helpers.series.hosted import COSTS

    folder = notebooks or catalogue.find_folder()
    costs = overview.costs_of_run(run_file)
    (folder / "README.md").write_text(overview.map_text(folder, costs), encoding="utf-8")
    COSTS.write_text(overview.costs_text(costs), encoding="utf-8")
    (folder / overview.PICTURE).write_bytes(overview.picture_of(folder))
    out_console.print(f"wrote {folder.name}/README.md", highlight=False)


@app.command()
@reported
def study(
    name: Annotated[str, typer.Argument(help="freezing, learning_rates, batch_sizes, small_data, ...")],
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that run side by side.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the results.", file_okay=False)] = None,
) -> None:
    """Run what is missing of a many-seed study; stop it whenever you like and call it again."""
    from concurrent.futures import ProcessPoolExecutor
    from contextlib import ExitStack

    from rich.progress import Progress

    from bertft_helpers.experiments import run_study
    from bertft_helpers.series import catalogue
    from bertft_helpers.studies import find_study

    chosen = find_study(name)
    path = (out or catalogue.find_folder() / "results") / f"{name}.csv"
    with ExitStack() as stack:
        executor = stack.enter_context(ProcessPoolExecutor(workers)) if workers > 1 else None
        progress = stack.enter_context(Progress(console=error_console, disable=not error_console.is_terminal))
        task = progress.add_task(name, total=len(chosen.cells) * len(chosen.seeds))
        rows = run_study(chosen, path, executor, lambda done, _: progress.update(task, completed=done))
    broken = int(rows["error"].notna().sum())
    out_console.print(f"{path.name}: {len(rows)} runs, {broken} of them raised an error", highlight=False)
    raise typer.Exit(1 if broken else 0)


def _execute(lessons: list, plan: dict, out: Path, cell_timeout: int, jobs: int) -> list:
    from bertft_helpers.series import report, runner

    with report.Progressing(out_console) as progress:
        return runner.run_lessons(lessons, plan, out, progress, cell_timeout, jobs)


app.command()(publishing.stamp)
app.command()(publishing.workshop)
for command in (own_texts.train, own_texts.evaluate, own_texts.predict):
    app.command()(command)

if __name__ == "__main__":
    app()
