"""The commands for texts of your own: ``bertft train``, ``bertft evaluate`` and ``bertft predict``."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from bertft_helpers.cli.console import AsJson, error_console, out_console, reported, stop
from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.reading import Format, Reading
from bertft_helpers.tables import visible

Model = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that bertft train wrote.")]
TextColumn = Annotated[str, typer.Option("--text", help="Column of the texts.")]
LabelColumn = Annotated[str, typer.Option("--label", help="Column of the labels.")]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Of the file: utf-8, cp1252, utf-16, cp1251 …")]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", help="Between fields: ',', ';', '|', tab. Found if not given.")
]
Quoting = Annotated[str, typer.Option("--quoting", help="auto, csv (fields may span lines), none (marks are text).")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The columns are called 1, 2, 3.")]
AsTrained = "None given: as in training."
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, mps; by default the first that works.")]


def _plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Besides what ``reported`` does: missing files are bad usage, failed training is one sentence."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            stop(_shown(error), 2)
        except KeyboardInterrupt:
            stop("interrupted; bertft train goes on when it is called again with the same --out", 1)
        except ValueError as error:
            stop(_shown(error), 2)
        except RuntimeError as error:  # diverged, out of memory, damaged files, another run in this folder
            stop(_shown(error), 1)

    return reported(run)


def _shown(error: Exception) -> str:
    return visible(str(error), 2000)


@_plainly
def train(
    data: Annotated[str, typer.Argument(help="CSV, TSV, JSON, Parquet or Excel file, folder per class, or hub:NAME.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; call again to go on with it.")] = None,
    text: TextColumn = "text",
    label: LabelColumn = "label",
    checkpoint: Annotated[str, typer.Option(help="bundled, bert-base-uncased, or a local folder.")] = "bundled",
    max_length: Annotated[int, typer.Option(min=8, max=512, help="Tokens of a text that are read.")] = 256,
    long_texts: Annotated[str, typer.Option(help="What stays of longer ones: head, tail or head+tail.")] = "head+tail",
    class_weights: Annotated[bool, typer.Option("--class-weights", help="Let rare classes count more.")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; by default 3 to 15, by size.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="By default 2e-4 for the bundled checkpoint.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per step, over all processes.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of split, order and new weights.")] = 0,
    device: Device = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read, clean, divide, report; train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a classifier on your texts: baselines, early stopping, one test, a report."""
    from bertft_helpers.own_texts.settings import TaskSettings, finished_results
    from bertft_helpers.resume.processes import joined
    from bertft_helpers.runtime import quiet_libraries

    quiet_libraries()
    options = {"max_length": max_length, "policy": long_texts, "class_weights": class_weights, "epochs": epochs}
    more = {"checkpoint": checkpoint, "learning_rate": learning_rate, "batch_size": batch_size, "seed": seed}
    how = Format(encoding, delimiter, quoting, header=not no_header)
    settings = TaskSettings(data, text, label, **options, **more, how=how)
    if dry_run:
        _print_preview(settings, as_json)
        return
    if out is None:
        raise UserError("--out is missing: name a folder for the run, or give --dry-run to look at the texts only")
    with joined(device) as processes:
        say = _say if processes.is_first else lambda line: None
        if (results := finished_results(out)) is None:
            results = _run(settings, out, processes, say)
        else:
            _refuse_other(settings, out)
            say("this run is finished; its results:")
    if results is not None and processes.is_first:
        _print_results(results, out, as_json)


def _print_preview(settings: Any, as_json: bool) -> None:
    from bertft_helpers.own_texts.preview import preview

    found = preview(settings)
    if as_json:
        print(json.dumps(found.facts(), ensure_ascii=False))
    else:
        for line in found.lines():
            _print(visible(line, None))


def _run(settings: Any, out: Path, processes: Any, say: Callable[[str], None]) -> dict[str, Any] | None:
    from bertft_helpers.own_texts.run import finish, run_task

    watched = error_console.is_terminal and processes.is_first
    with Progress(console=error_console, transient=True, disable=not watched) as progress:
        bar = progress.add_task("training", total=None)

        def on_step(done: int, planned: int) -> None:
            progress.update(bar, completed=done, total=planned)

        record = run_task(settings, out, processes, say, on_step if watched else None)
        if record is None:
            return None
        from bertft_helpers.own_texts.report import report_page

        finish(record, out, report_page(record))
    return record.results


def _refuse_other(settings: Any, out: Path) -> None:
    """A finished folder answers only for the run that is in it."""
    from bertft_helpers.own_texts.settings import claim
    from bertft_helpers.own_texts.sources import digest_of, load_source

    dataset, _ = load_source(settings.source, settings.text_column, settings.label_column, settings.how)
    claim(out, settings, digest_of(dataset), writes=False)


def _say(line: str) -> None:
    error_console.print(visible(line, None), markup=False, highlight=False, soft_wrap=True)


def _say_reading(reading: Reading) -> None:
    """How a source was read: always said, as its rows are."""
    for line in [reading.summary(), *(f"note: {note}" for note in reading.notes)]:
        _say(line)


def _print_results(results: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(results, ensure_ascii=False))
        return
    _print_scores(results["test"], "test texts")
    _print(results["verdict"])
    _print(f"model in {out / 'model'}, report in {out / 'report.html'}")


def _print(line: str) -> None:
    out_console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_scores(scores: dict[str, Any], what: str) -> None:
    low, high = scores["accuracy_interval"]
    _print(f"accuracy {scores['accuracy']:.3f} ({low:.3f} to {high:.3f}) on {scores['texts']} {what}")
    low, high = scores["macro_f1_interval"]
    _print(f"macro F1 {scores['macro_f1']:.3f} ({low:.3f} to {high:.3f}), the mean over classes")


@_plainly
def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(help="Labelled texts, as for bertft train.")],
    text: Annotated[str | None, typer.Option("--text", help=f"Column of the texts. {AsTrained}")] = None,
    label: Annotated[str | None, typer.Option("--label", help=f"Column of the labels. {AsTrained}")] = None,
    device: Device = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    as_json: AsJson = False,
) -> None:
    """Score a trained classifier on other labelled texts."""
    from bertft_helpers.own_texts.scores import score_texts
    from bertft_helpers.own_texts.sources import load_source

    classifier, columns = _load(model, device)
    how = Format(encoding, delimiter, quoting, header=not no_header)
    dataset, reading = load_source(data, text or columns["text_column"], label or columns["label_column"], how)
    _say_reading(reading)
    scores = score_texts(classifier, dataset)
    if as_json:
        print(json.dumps(scores, ensure_ascii=False))
        return
    _print_scores(scores, "texts")
    for row in scores["classes"]:
        counts = f"precision {row['precision']:.3f}  recall {row['recall']:.3f}  F1 {row['f1']:.3f}"
        _print(f"{visible(row['label'], 30):<32} {counts}  {row['texts']} texts")
    if scores["without_text"]:
        _say(f"note: {scores['without_text']} rows without text were left out")


@_plainly
def predict(
    model: Model,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A file as for bertft train, a .txt of lines, a folder of them, or - for lines."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; standard output if none.")] = None,
    text: Annotated[str | None, typer.Option("--text", help=f"Column of the texts. {AsTrained}")] = None,
    device: Device = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    as_json: AsJson = False,
) -> None:
    """Label every row of a file, however large."""
    from bertft_helpers.own_texts.labelling import label_file

    if as_json and out is None:
        raise UserError("--json answers on standard output, where the rows would go too; give --out FILE")
    classifier, columns = _load(model, device)
    watched = error_console.is_terminal and out is not None
    with Progress(
        "{task.description}", "{task.completed} rows", console=error_console, disable=not watched
    ) as progress:
        bar = progress.add_task("labelled", total=None)
        column = text or columns["text_column"]
        how = Format(encoding, delimiter, quoting, header=not no_header)
        done = label_file(classifier, file, out, column, lambda rows: progress.update(bar, completed=rows), how)
    _say_reading(done.reading)
    if as_json:
        print(json.dumps({"rows": done.rows, "without_text": done.without_text, "out": str(out)}))
    elif out is not None:
        _say(f"{done.rows} rows written to {out}, {done.without_text} of them without text and so without a label")


def _load(folder: Path, device: str | None) -> tuple[Any, dict[str, str]]:
    """The classifier of a run's folder, or of a model folder, and the columns that it was trained on."""
    from bertft_helpers.inference import TextClassifier
    from bertft_helpers.runtime import pick_device, quiet_libraries

    quiet_libraries()
    inner = folder / "model"
    if (folder / "run.json").is_file() and not inner.is_dir():
        raise MissingError(f"the run in {folder} is not finished: call bertft train with --out {folder} again")
    run = (folder if inner.is_dir() else folder.parent) / "run.json"
    columns = json.loads(run.read_text(encoding="utf-8")) if run.is_file() else {}
    chosen = pick_device(device)
    budget = 16_384 if chosen.type == "cuda" else 1_024  # tokens per batch: small ones are faster on a CPU
    classifier = TextClassifier.load(inner if inner.is_dir() else folder, chosen, budget)
    return classifier, {"text_column": "text", "label_column": "label", **columns}
