"""The commands for texts of your own: ``bertft train``, ``bertft evaluate`` and ``bertft predict``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from bertft_helpers.cli import several
from bertft_helpers.cli.console import AsJson, answer, answer_json, error_console, reported, say, was_closed
from bertft_helpers.errors import UserError
from bertft_helpers.model_files.contents import require_folder
from bertft_helpers.reading.places import require_path, require_place
from bertft_helpers.reading.report import Format

__all__ = [
    "AsTrained",
    "Delimiter",
    "Device",
    "Encoding",
    "Explain",
    "LabelColumn",
    "MinPrecision",
    "Model",
    "NoHeader",
    "Precision",
    "Quoting",
    "TextColumn",
    "evaluate",
    "predict",
    "train",
]

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
Precision = Annotated[
    str, typer.Option("--precision", help="float32, bfloat16, float16: 16 bits are quick on some processors.")
]
MinPrecision = Annotated[
    float | None,
    typer.Option("--min-precision", help="Answer only where this share of the answers is right; else 'abstain'."),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Tell the words that carried the answer, for and against; takes longer.")
]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, mps; by default the first that works.")]


@reported("interrupted; bertft train goes on when it is called again with the same --out")
def train(
    data: Annotated[str, typer.Argument(help="CSV, TSV, JSON, Parquet or Excel file, folder per class, or hub:NAME.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; call again to go on with it.")] = None,
    text: TextColumn = "text",
    label: LabelColumn = "label",
    group: Annotated[
        str | None, typer.Option(help="Column of what belongs together (story, author, customer): kept in one part.")
    ] = None,
    several_labels: several.SeveralLabels = False,
    label_separator: several.LabelSeparator = None,
    label_columns: several.LabelColumns = None,
    checkpoint: Annotated[str, typer.Option(help="bundled, bert-base-uncased, or a local folder.")] = "bundled",
    max_length: Annotated[int, typer.Option(min=8, max=512, help="Tokens of a text that are read.")] = 256,
    long_texts: Annotated[
        str, typer.Option(help="What is read of longer ones: head, tail, head+tail, or all of it in windows.")
    ] = "head+tail",
    stride: Annotated[
        int | None, typer.Option(help="Tokens that a window shares with the one before; by default an eighth.")
    ] = None,
    class_weights: Annotated[bool, typer.Option("--class-weights", help="Let rare classes count more.")] = False,
    skip_small_classes: Annotated[
        bool, typer.Option("--skip-small-classes", help="Leave out classes of fewer than 3 texts, and say which.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; by default 3 to 15, by size.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="By default 2e-4 for the bundled checkpoint.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per step, over all processes.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of split, order and new weights.")] = 0,
    precision: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16; by default what is quick here.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="float32 and torch's own dropout, however slow.")] = False,
    keep: Annotated[
        str,
        typer.Option(help="What is saved: best (on validation texts), fine-tuned, frozen-features, counted-words."),
    ] = "best",
    device: Device = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read, clean, divide, report; train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a classifier on your texts: baselines, early stopping, one test, a report."""
    if out is None and not dry_run:
        raise UserError("--out is missing: name a folder for the run, or give --dry-run to look at the texts only")
    lists = several.lists_from(several_labels, label_separator, label_columns)
    if lists is None:  # they have places of their own, and words for them
        require_place(data)  # before the libraries, which take seconds
    os.environ["MPLBACKEND"] = "agg"  # the report's figures are drawn into files, whatever is set for windows
    from bertft_helpers.cli.watching import watched_training
    from bertft_helpers.own_texts.run import train_classifier
    from bertft_helpers.runtime import quiet_libraries

    quiet_libraries()
    settings: dict[str, Any] = {
        "text_column": text,
        "label_column": label,
        "group_column": group,
        "checkpoint": checkpoint,
        "max_length": max_length,
        "policy": long_texts,
        "stride": stride,
        "class_weights": class_weights,
        "skip_small_classes": skip_small_classes,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "seed": seed,
        "precision": precision,
        "exact": exact,
        "keep": keep,
        "how": Format(encoding, delimiter, quoting, header=not no_header),
        "several": lists,
    }
    if dry_run or out is None:
        _print_preview(data, settings, as_json)
        return
    with watched_training() as on_step:
        results = train_classifier(data, out, **settings, device=device, on_note=say, on_step=on_step)
    if results is not None:
        _print_results(results, out, as_json)


def _print_preview(data: str, settings: dict[str, Any], as_json: bool) -> None:
    from bertft_helpers.own_texts.preview import preview
    from bertft_helpers.own_texts.settings import TaskSettings

    found = preview(TaskSettings(data, **settings))
    if as_json:
        answer_json(found.facts())
    else:
        for line in found.lines():
            answer(line)


def _print_results(results: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        answer_json(results)
        return
    if "thresholds" in results:
        several.print_results(results, out)
        return
    _print_scores(results["test"], "test texts")
    answer(results["verdict"])
    answer(results["saved"]["why"])
    if results.get("cut_instead"):
        answer(results["cut_instead"]["told"])
    _print_probabilities(results)
    _print_wishes(results["wishes"])
    answer(f"model in {out / 'model'}, summary in {out / 'summary.html'}, report in {out / 'report.html'}")


def _print_probabilities(results: dict[str, Any]) -> None:
    calibration, abstention = results["calibration"], results["abstention"]
    answer(
        f"temperature {calibration['temperature']:.2f}, by which bertft predict divides the logits; calibration error "
        f"{calibration['expected_error']:.3f}, of which luck explains up to {calibration['error_by_luck']:.3f}"
    )
    if abstention is not None:
        answer(
            f"below a probability of {abstention['limit']:.2f} let a person look: {1 - abstention['answered']:.1%} of "
            f"the test texts; {abstention['right']:.1%} of the others were right"
        )


def _print_wishes(wishes: list[dict[str, Any]]) -> None:
    for one in wishes:
        if one["test"]["texts"]:
            answer(
                f"with --min-precision {one['wished']:g} predict answers {one['test']['coverage']:.1%} of the test "
                f"texts, {one['test']['precision']:.1%} of these rightly"
            )


def _print_scores(scores: dict[str, Any], what: str) -> None:
    low, high = scores["accuracy_interval"]
    answer(f"accuracy {scores['accuracy']:.3f} ({low:.3f} to {high:.3f}) on {scores['texts']} {what}")
    low, high = scores["macro_f1_interval"]
    answer(f"macro F1 {scores['macro_f1']:.3f} ({low:.3f} to {high:.3f}), the mean over classes")


def _print_answered(answered: dict[str, Any]) -> None:
    told = f"of these {answered['texts']} get an answer ({answered['coverage']:.1%})"
    if answered["texts"]:
        low, high = answered["precision_interval"]
        told += f", and {answered['precision']:.3f} ({low:.3f} to {high:.3f}) of the answers are right"
    answer(told)


@reported()
def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(help="Labelled texts, as for bertft train.")],
    text: Annotated[str | None, typer.Option("--text", help=f"Column of the texts. {AsTrained}")] = None,
    label: Annotated[str | None, typer.Option("--label", help=f"Column of the labels. {AsTrained}")] = None,
    several_labels: several.SeveralLabels = False,
    label_separator: several.LabelSeparator = None,
    label_columns: several.LabelColumns = None,
    device: Device = None,
    precision: Precision = "float32",
    min_precision: MinPrecision = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    as_json: AsJson = False,
) -> None:
    """Score a trained classifier on other labelled texts."""
    require_folder(model)
    require_place(data)
    from bertft_helpers.own_texts.trained import evaluate_file
    from bertft_helpers.runtime import quiet_libraries
    from bertft_helpers.tables import visible

    quiet_libraries()
    how = Format(encoding, delimiter, quoting, header=not no_header)
    scores = evaluate_file(
        model,
        data,
        text_column=text,
        label_column=label,
        several=several.lists_from(several_labels, label_separator, label_columns),
        how=how,
        device=device,
        precision=precision,
        min_precision=min_precision,
        on_note=say,
    )
    if as_json:
        answer_json(scores)
        return
    if "labels" in scores:
        several.print_scores(scores, "texts")
    else:
        _print_scores(scores, "texts")
    if "answered" in scores:
        _print_answered(scores["answered"])
    for row in scores.get("classes") or scores["labels"]:
        counts = f"precision {row['precision']:.3f}  recall {row['recall']:.3f}  F1 {row['f1']:.3f}"
        answer(f"{visible(row['label'], 30):<32} {counts}  {row['texts']} texts")
    if scores["without_text"]:
        say(f"note: {scores['without_text']} rows without text were left out")


@reported("interrupted; call it again to label the file anew")
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
    precision: Precision = "float32",
    min_precision: MinPrecision = None,
    flag_unfamiliar: Annotated[
        bool, typer.Option("--flag-unfamiliar", help="Add a column: is the text far from those of training?")
    ] = False,
    explain: Explain = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    as_json: AsJson = False,
) -> None:
    """Label every row of a file, however large."""
    if as_json and out is None:
        raise UserError("--json answers on standard output, where the rows would go too; give --out FILE")
    if out is None and was_closed(sys.stdout):
        raise UserError("standard output is closed, so the answers have no place; give --out FILE")
    if file == "-" and was_closed(sys.stdin):
        raise UserError("standard input is closed, so there are no lines to label; give a FILE")
    require_folder(model)
    if file != "-":
        require_path(file)
    from bertft_helpers.own_texts.trained import label_file
    from bertft_helpers.runtime import quiet_libraries

    quiet_libraries()
    how = Format(encoding, delimiter, quoting, header=not no_header)
    watched = error_console.is_terminal and out is not None
    columns = "{task.description}", "{task.completed} rows"
    with Progress(*columns, console=error_console, disable=not watched) as progress:
        bar = progress.add_task("labelled", total=None)

        def on_rows(rows: int) -> None:
            progress.update(bar, completed=rows)

        done = label_file(
            model,
            file,
            out,
            text_column=text,
            how=how,
            device=device,
            precision=precision,
            min_precision=min_precision,
            flag_unfamiliar=flag_unfamiliar,
            explain=explain,
            on_note=say,
            on_rows=on_rows,
        )
    if as_json:
        answer_json({"rows": done.rows, "without_text": done.without_text, "out": str(out)})
    elif out is not None:
        say(f"{done.rows} rows written to {out}, {done.without_text} of them without text and so without a label")
