"""The command that lists labels that are probably wrong: ``bertft audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertft_helpers.cli.console import AsJson, answer, answer_json, reported, say
from bertft_helpers.cli.own_texts import Delimiter, Device, Encoding, LabelColumn, NoHeader, Quoting, TextColumn
from bertft_helpers.errors import UserError
from bertft_helpers.reading.places import require_place
from bertft_helpers.reading.report import Format

__all__ = ["audit"]


@reported()
def audit(
    data: Annotated[str, typer.Argument(help="Labelled texts, as for bertft train.")],
    out: Annotated[Path | None, typer.Option("--out", help="CSV file for all suspects.")] = None,
    text: TextColumn = "text",
    label: LabelColumn = "label",
    checkpoint: Annotated[str, typer.Option(help="bundled, bert-base-uncased, or a local folder.")] = "bundled",
    show: Annotated[int, typer.Option("--show", min=0, help="How many suspects are printed.")] = 10,
    device: Device = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
    as_json: AsJson = False,
) -> None:
    """List the texts whose labels are probably wrong, the most suspect first. Nothing is changed."""
    if out is not None and out.exists():
        raise UserError(f"{out} exists; choose another --out")
    require_place(data)
    from bertft_helpers.own_texts import audit as auditing
    from bertft_helpers.runtime import quiet_libraries
    from bertft_helpers.tables import visible

    quiet_libraries()
    how = Format(encoding, delimiter, quoting, header=not no_header)
    found = auditing.audit(data, text, label, checkpoint, how, device, say)
    if out is not None:
        auditing.write_suspects(found, out)
    if as_json:
        answer_json({**found._asdict(), "suspects": [suspect._asdict() for suspect in found.suspects]})
        return
    left_out = "".join(f"; left out: {count} {why}" for why, count in found.left_out.items())
    answer(f"{len(found.suspects)} of {found.texts} labels are suspect{left_out}")
    for one in found.suspects[:show]:
        labels = f"{visible(one.label, 20)} ({one.probability:.2f}), likelier {visible(one.likelier, 20)}"
        answer(f"{one.row}: {labels} ({one.likelier_probability:.2f}): {visible(one.text, 80)}")
    if found.suspects:
        say("note: a suspect is a text to look at, not a wrong label; read the first ones to see how many are")
    if out is not None:
        say(f"all of them are in {out}")
