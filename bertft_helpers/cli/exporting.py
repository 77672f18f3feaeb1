"""The command that makes a file for other programs of a trained classifier: ``bertft export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertft_helpers.cli.console import AsJson, answer, answer_json, reported, say
from bertft_helpers.cli.own_texts import AsTrained, Delimiter, Encoding, Model, NoHeader, Quoting
from bertft_helpers.model_files.contents import require_folder
from bertft_helpers.reading.places import require_place
from bertft_helpers.reading.report import Format

__all__ = ["export"]


@reported("interrupted; nothing was written")
def export(
    model: Model,
    out: Annotated[Path, typer.Option("--out", help="New folder for the file and what belongs to it.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="The format, ONNX; there is no other.")] = True,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit weights: a quarter of the size, other answers.")] = False,
    data: Annotated[
        str | None, typer.Option("--data", help="Labelled texts to compare on; by default the run's own test part.")
    ] = None,
    most_lost: Annotated[
        float,
        typer.Option(
            "--most-lost",
            min=0,
            max=1,
            help="Accuracy, or micro F1, that --int8 may cost; beyond it nothing is written.",
        ),
    ] = 0.01,
    text: Annotated[str | None, typer.Option("--text", help=f"Column of the texts. {AsTrained}")] = None,
    label: Annotated[str | None, typer.Option("--label", help=f"Column of the labels. {AsTrained}")] = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    as_json: AsJson = False,
) -> None:
    """Write a trained classifier as an ONNX file, and count how its answers differ from the original's."""
    require_folder(model)
    if data is not None:
        require_place(data)
    from bertft_helpers.own_texts import export as exporting
    from bertft_helpers.runtime import quiet_libraries

    quiet_libraries()
    how = Format(encoding, delimiter, quoting, header=not no_header)
    found = exporting.export(
        model,
        out,
        int8=int8,
        data=data,
        text_column=text,
        label_column=label,
        how=how,
        most_lost=most_lost,
        on_note=say,
    )
    if as_json:
        answer_json({**found._asdict(), "folder": str(found.folder)})
        return
    answer(f"{out} holds the model as ONNX ({found.megabytes:,.0f} MB) and README.md, which shows how to run it")
    answer(
        f"compared on {found.texts} texts: a probability differs by at most {found.difference:.1e}, "
        f"{found.changed} texts get other labels"
    )
    if found.scores:
        before, after = found.scores
        answer(f"{found.score} {after:.3f}; that of the original is {before:.3f}")
