"""The command ``bertft``. Exit codes: 0 all well, 1 the work failed, 2 bad usage, 141 the reader of the output left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertft_helpers.cli import auditing, exporting, own_texts, serving
from bertft_helpers.cli.commands import Commands
from bertft_helpers.cli.console import AsJson, answer, answer_json, error_console, out_console, reported, say
from bertft_helpers.errors import RunError, UserError
from bertft_helpers.series.execute import CELL_TIMEOUT

__all__ = [
    "CellTimeout",
    "Folder",
    "Jobs",
    "Names",
    "Origin",
    "app",
    "book",
    "check",
    "doctor",
    "links",
    "run",
    "site",
    "stamp",
    "store",
    "study",
    "workshop",
    "write_map",
]

# Everything else is imported inside the commands: help and completion must answer at once.
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Run, store and check the lessons of 'Fine-tuning BERT in PyTorch', and fine-tune BERT on your own texts.",
    epilog="--debug shows the traceback of an error, --help after a command its options.",
)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NN ...]", help="Lessons by number or name; all if none.")]
Folder = Annotated[Path | None, typer.Option("--notebooks", help="Folder of the lessons.", file_okay=False)]
CellTimeout = Annotated[int, typer.Option("--cell-timeout", min=1, help="Seconds that one cell may take.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Lessons executed side by side.")]
Origin = Annotated[
    str | None, typer.Argument(metavar="OWNER/REPO@TAG", help="Where pip gets the package, or a git address.")
]


@app.command()
@reported()
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
    answer(f"{subject:<20} {found}")
    if remedy:
        answer(f"{'':26}-> {remedy}")


@app.command()
@reported("interrupted; no kernel is left behind")
def run(
    names: Names = None,
    profile: Annotated[str, typer.Option("--profile", help="cpu (the lessons' own values), smoke, gpu, ...")] = "cpu",
    parameter: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="Override a parameter.")
    ] = None,
    jobs: Jobs = 1,
    fast: Annotated[
        bool, typer.Option("--fast", help="A lesson on each core, one thread each; QUICK=True where lessons have it.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Folder for executed lessons.", file_okay=False)] = Path("build"),
    cell_timeout: CellTimeout = CELL_TIMEOUT,
    notebooks: Folder = None,
) -> None:
    """Execute lessons into a folder; the lessons themselves stay as they are."""
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.execute.outcomes import print_table, write_run
    from bertft_helpers.series.execute.side_by_side import lessons_at_once

    extra = catalogue.parse_overrides(parameter or [])  # first: `-p NAME VALUE` leaves a value among the lessons
    folder = notebooks or catalogue.find_folder()
    lessons = catalogue.select_lessons(folder, names or [])
    plan = catalogue.plan_parameters(folder, lessons, profile, extra)
    if fast and jobs > 1:
        raise UserError("--fast decides how many lessons run side by side: leave --jobs out")
    if fast:
        jobs, plan = lessons_at_once(), catalogue.with_quick(plan, lessons)
    outcomes, seconds = _execute(lessons, plan, out, cell_timeout, jobs, threads=1 if jobs > 1 and fast else None)
    write_run(outcomes, plan, out, profile, jobs)
    print_table(outcomes, seconds, out_console)
    answer(f"see {out / 'index.html'}")
    raise typer.Exit(0 if all(outcome.ok for outcome in outcomes) else 1)


@app.command()
@reported("interrupted; no kernel is left behind")
def store(
    names: Names = None, jobs: Jobs = 1, cell_timeout: CellTimeout = CELL_TIMEOUT, notebooks: Folder = None
) -> None:
    """Execute lessons at their own values and store the outputs in them; a lesson that fails is left as it was."""
    from bertft_helpers.files import scratch_folder
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.execute.outcomes import print_table
    from bertft_helpers.series.execute.storing import with_outputs
    from bertft_helpers.series.notebook import read_notebook, write_notebook

    lessons = catalogue.select_lessons(notebooks or catalogue.find_folder(), names or [])
    with scratch_folder("store") as scratch:
        outcomes, seconds = _execute(lessons, {}, scratch, cell_timeout, jobs)
        for lesson, outcome in zip(lessons, outcomes, strict=True):
            if outcome.ok:
                executed = read_notebook(scratch / f"{lesson.name}.ipynb")
                write_notebook(with_outputs(read_notebook(lesson.path), executed), lesson.path)
    print_table(outcomes, seconds, out_console)
    raise typer.Exit(0 if all(outcome.ok for outcome in outcomes) else 1)


@app.command()
@reported("interrupted; no kernel is left behind")
def check(
    names: Names = None,
    execute: Annotated[bool, typer.Option("--execute", help="Also run the cells and compare their outputs.")] = False,
    jobs: Jobs = 1,
    cell_timeout: CellTimeout = CELL_TIMEOUT,
    as_json: AsJson = False,
    notebooks: Folder = None,
) -> None:
    """Check stored lessons: their files, and with --execute their outputs against a fresh run."""

    from bertft_helpers.series import catalogue
    from bertft_helpers.series.execute.comparison import compare_outputs
    from bertft_helpers.series.gates.check import check_folder, check_lesson

    folder = notebooks or catalogue.find_folder()
    lessons = catalogue.select_lessons(folder, names or [])
    problems = [problem for lesson in lessons for problem in check_lesson(lesson.path)]
    if not names:
        problems += check_folder(folder)
    equal = compare_outputs(lessons, cell_timeout, jobs, to_stderr=as_json) if execute else None
    if as_json:
        answer_json({"problems": [problem.as_dict() for problem in problems], "outputs_equal": equal})
    else:
        for problem in problems:
            answer(str(problem))
        answer(f"{len(lessons)} lessons, {len(problems)} problems in their files")
    raise typer.Exit(1 if problems or equal is False else 0)


@app.command("map")
@reported()
def write_map(
    run_file: Annotated[
        Path | None,
        typer.Option("--run", help="run.json of a complete run; without it build/run.json, or else the stored costs."),
    ] = None,
    notebooks: Folder = None,
) -> None:
    """Write notebooks/README.md (question, lesson, graduates, minutes, memory), its picture, results/README.md."""
    from bertft_helpers.series import catalogue, overview
    from bertft_helpers.series.costs import COSTS, costs_text
    from bertft_helpers.studies.overview import studies_text

    folder = notebooks or catalogue.find_folder()
    costs = overview.known_costs(run_file)
    (folder / "README.md").write_text(overview.map_text(folder, costs), encoding="utf-8")
    COSTS.write_text(costs_text(costs), encoding="utf-8")
    (folder / overview.PICTURE).write_bytes(overview.picture_of(folder))
    (folder / "results").mkdir(exist_ok=True)
    (folder / "results" / "README.md").write_text(studies_text(), encoding="utf-8")
    answer(f"wrote {folder.name}/README.md and {folder.name}/results/README.md")


@app.command()
@reported("interrupted; call it again to go on with what is missing")
def study(
    name: Annotated[str, typer.Argument(help="freezing, learning_rates, batch_sizes, small_data, ...")],
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that run side by side.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the results.", file_okay=False)] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="float32 and torch's own dropout; a study goes on as it began.")
    ] = False,
) -> None:
    """Run what is missing of a many-seed study; stop it whenever you like and call it again."""
    from concurrent.futures import ProcessPoolExecutor
    from contextlib import ExitStack

    import torch
    from rich.progress import Progress

    from bertft_helpers.series import catalogue
    from bertft_helpers.speed.choice import EXACT, find_choice
    from bertft_helpers.studies.catalogue import find_study
    from bertft_helpers.studies.experiments import run_study
    from bertft_helpers.studies.families import FAMILIES, told
    from bertft_helpers.studies.ways import in_the_way_of

    asked = find_study(name)
    path = (out or catalogue.find_folder() / "results") / f"{asked.name}.csv"
    here = EXACT if exact else find_choice(torch.device("cpu"))
    chosen = in_the_way_of(path, asked, here, say)
    with ExitStack() as stack:
        executor = stack.enter_context(ProcessPoolExecutor(workers)) if workers > 1 else None
        progress = stack.enter_context(Progress(console=error_console, disable=not error_console.is_terminal))
        task = progress.add_task(name, total=len(chosen.cells) * len(chosen.seeds))
        rows = run_study(chosen, path, executor, lambda done, _: progress.update(task, completed=done))
    broken = int(rows["error"].notna().sum())
    answer(f"{path.name}: {len(rows)} runs, {broken} of them raised an error")
    for family in (family for family in FAMILIES.values() if family.study == asked.name):
        answer(f"{family.name}, {family.value}:")
        for line in told(family.name, rows):
            answer(f"  {line}")
    raise typer.Exit(1 if broken else 0)


@app.command()
@reported()
def stamp(
    origin: Origin = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the stamp back.")] = False,
    notebooks: Folder = None,
) -> None:
    """Write into all lessons where their package comes from, and their links to Colab and Kaggle."""
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.stamp import UNSTAMPED, source_of, stamp_lessons

    if clear == (origin is not None):
        raise UserError("give one of OWNER/REPO@TAG and --clear")
    source = UNSTAMPED if origin is None else source_of(origin)
    changed = stamp_lessons(notebooks or catalogue.find_folder(), source)
    answer(f"{changed} lessons changed: {source}")


@app.command()
@reported()
def workshop(
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder.", file_okay=False)],
    n_train: Annotated[
        int | None, typer.Option("--n-train", min=16, help="Headlines that train the catch-up model; all if not given.")
    ] = None,
    notebooks: Folder = None,
) -> None:
    """Build a workshop: both editions of the lessons, schedules, hand-out, slides, and a folder to catch up from."""
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.teach.workshop import build

    with error_console.status("workshop") as status:
        build(notebooks or catalogue.find_folder(), out, n_train, lambda part: status.update(f"writing {part}"))
    answer(f"wrote {out}")


@app.command()
@reported()
def site(
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder, or an earlier site.", file_okay=False)],
    book: Annotated[
        Path | None, typer.Option("--book", help="A folder that `bertft book` wrote: its files are offered.")
    ] = None,
    notebooks: Folder = None,
) -> None:
    """Build the website from the stored lessons, without executing them; it loads nothing from another host."""
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.site.build import build_site

    with error_console.status("building the site"):
        build_site(notebooks or catalogue.find_folder(), out, book)
    answer(f"open {out / 'index.html'}")


@app.command()
@reported()
def book(
    out: Annotated[
        Path, typer.Option("--out", help="Where the two files go; earlier ones are replaced.", file_okay=False)
    ],
    epub_only: Annotated[bool, typer.Option("--epub-only", help="No PDF: where no browser can print it.")] = False,
    notebooks: Folder = None,
) -> None:
    """Bind the stored lessons as one EPUB and one PDF, for reading without a network."""
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.site import book

    folder = notebooks or catalogue.find_folder()
    for bind in (book.build_epub,) if epub_only else (book.build_epub, book.build_pdf):
        with error_console.status("binding the book"):
            answer(str(bind(folder, out)))


@app.command()
@reported()
def links(notebooks: Folder = None) -> None:
    """Ask every outside address that the lessons and pages name, and list those that do not answer."""
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.site.outside import dead_links

    with error_console.status("asking the outside addresses"):
        dead = dead_links(notebooks or catalogue.find_folder())
    for link in dead:
        answer(f"{link.page}: {link.address} ({link.reason})")
    if dead:
        raise RunError(f"{len(dead)} addresses do not answer")
    answer("every outside address answers")


def _execute(
    lessons: list, plan: dict, out: Path, cell_timeout: int, jobs: int, threads: int | None = None
) -> tuple[list, float]:
    """The outcomes, and the seconds from the first lesson's start to the last one's end."""
    import time

    from bertft_helpers.series.execute.outcomes import Progressing
    from bertft_helpers.series.execute.runner import run_lessons

    began = time.monotonic()
    with Progressing(out_console) as progress:
        outcomes = run_lessons(lessons, plan, out, progress, cell_timeout, jobs, threads)
    return outcomes, time.monotonic() - began


for command in (
    own_texts.train,
    own_texts.evaluate,
    own_texts.predict,
    auditing.audit,
    exporting.export,
    serving.serve,
):
    app.command()(command)
