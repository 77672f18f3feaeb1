"""The commands with which the series goes out to others: ``bertft stamp`` and ``bertft workshop``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertft_helpers.console import error_console, out_console, reported

Folder = Annotated[Path | None, typer.Option("--notebooks", help="Folder of the lessons.", file_okay=False)]
Origin = Annotated[
    str | None, typer.Argument(metavar="OWNER/REPO@TAG", help="Where pip gets the package, or a git address.")
]


@reported
def stamp(
    origin: Origin = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the stamp back.")] = False,
    notebooks: Folder = None,
) -> None:
    """Write into all lessons where their package comes from, and their links to Colab and Kaggle."""
    from bertft_helpers.series import catalogue, stamp

    if clear == (origin is not None):
        raise ValueError("give one of OWNER/REPO@TAG and --clear")
    source = stamp.UNSTAMPED if origin is None else stamp.source_of(origin)
    changed = stamp.stamp(notebooks or catalogue.find_folder(), source)
    out_console.print(f"{changed} lessons changed: {source}", markup=False, highlight=False, soft_wrap=True)


@reported
def workshop(
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder.", file_okay=False)],
    n_train: Annotated[
        int | None, typer.Option("--n-train", min=16, help="Headlines that train the catch-up model; all if not given.")
    ] = None,
    notebooks: Folder = None,
) -> None:
    """Build a workshop: both editions of the lessons, schedules, hand-out, slides, and a folder to catch up from."""
    from bertft_helpers.series import catalogue
    from bertft_helpers.series.workshop import build

    with error_console.status("workshop") as status:
        build(notebooks or catalogue.find_folder(), out, n_train, lambda part: status.update(f"writing {part}"))
    out_console.print(f"wrote {out}", markup=False, highlight=False, soft_wrap=True)
