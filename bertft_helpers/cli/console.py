"""What the commands share: where they print, the option ``--json``, and how errors become words and exit codes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from bertft_helpers.errors import RunError, UserError

out_console, error_console = Console(), Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Turn bad names into exit 2, an interrupt or what the system refuses into exit 1, a missing extra into advice."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            stop("interrupted; no kernel is left behind", 1)
        except ModuleNotFoundError as error:
            stop(f"{error}; the lessons' tools come with: pip install 'bertft-helpers[lab,offline]'", 1)
        except UserError as error:
            stop(str(error), 2)
        except (RunError, OSError) as error:  # no space, a file that another process writes, a dead worker
            stop(str(error), 1)

    return run


def stop(message: str, code: int) -> None:
    """Say in red what went wrong and end with an exit code."""
    error_console.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)
