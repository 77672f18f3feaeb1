"""What the commands share: where they print, the options of all, and how errors become words and exit codes."""

from __future__ import annotations

import codecs
import dataclasses
import functools
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from bertft_helpers.errors import RunError, UserError, first_line
from bertft_helpers.series.execute.interrupts import signals_as_interrupt

__all__ = [
    "BAD_USAGE",
    "DONE",
    "FAILED",
    "READER_GONE",
    "AsJson",
    "Shown",
    "StandardConsole",
    "answer",
    "answer_json",
    "error_console",
    "escaped",
    "out_console",
    "printable",
    "reported",
    "say",
    "shown",
    "stop",
    "told",
    "was_closed",
]

DONE, FAILED, BAD_USAGE, READER_GONE = 0, 1, 2, 141  # the last is what a shell says of a process that SIGPIPE ended
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output, also when it fails.")]


class StandardConsole(Console):
    """A console whose reader may go away (``| head``): the command ends, and nothing is said about it."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


@dataclasses.dataclass
class Shown:
    """What the option ``--debug`` asks for."""

    tracebacks: bool = False


shown = Shown()
out_console, error_console = StandardConsole(), StandardConsole(stderr=True)


def reported(interrupted: str = "interrupted") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command end in one sentence and an exit code, whatever happens; ``interrupted`` is said after Ctrl-C.

    Bad input exits with 2. What could not be done, an interrupt, and what the system refuses exit with 1. So does a
    defect of this package, which is called one.
    """

    def around(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> None:
            _open_streams()
            try:
                with signals_as_interrupt():
                    command(*args, **kwargs)
                sys.stdout.flush()  # a full disk or a reader that is gone shows here, not when Python ends
            except (typer.Exit, SystemExit):
                raise
            except BrokenPipeError:
                _leave_quietly()
            except BaseException as error:
                if shown.tracebacks:
                    traceback.print_exc()
                stop(*told(error, interrupted), as_json=kwargs.get("as_json", False))

        return run

    return around


def told(error: BaseException, interrupted: str = "interrupted") -> tuple[str, int]:
    """The sentence about an error, and the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return interrupted, FAILED
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error}; {_where_to_get(error.name)}", FAILED
    if isinstance(error, UserError):
        return str(error), BAD_USAGE
    if isinstance(error, RunError | OSError):  # no space, a file that another process writes, a dead worker
        return str(error), FAILED
    from bertft_helpers.failures import is_out_of_memory  # brings torch, which whatever raised such an error has

    if is_out_of_memory(error):
        suffices = f"the memory of this machine or its device does not suffice ({first_line(error)})"
        return f"{suffices}; free some of it", FAILED
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return (
        f"this is a defect of bertft, not of what you gave it: {type(error).__name__}: {error} ({where}). "
        "Please report it to those from whom you have bertft, with what 'bertft --debug …' prints for the same call.",
        FAILED,
    )


def stop(message: str, code: int, as_json: bool = False) -> NoReturn:
    """Say in red what went wrong, with ``as_json`` also on standard output, and end with an exit code."""
    from bertft_helpers.tables import visible

    try:
        if as_json:
            print(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False), flush=True)
        error_console.print(visible(message, 4000), style="red", markup=False, highlight=False, soft_wrap=True)
    except OSError:  # nobody listens
        _drop_output()
    raise typer.Exit(code)


def say(line: str, style: str | None = None) -> None:
    """A line for the person who watches, on standard error."""
    error_console.print(printable(line), style=style, markup=False, highlight=False, soft_wrap=True)


def answer(line: str) -> None:
    """A line of what was asked for, on standard output."""
    out_console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def answer_json(value: object) -> None:
    """What was asked for, as one line of JSON on standard output."""
    print(json.dumps(value, ensure_ascii=False))


def printable(line: str) -> str:
    """A line whose control characters and direction marks are written out: names from data reach no terminal raw."""
    from bertft_helpers.tables import visible

    return re.sub(r"[^ ]+", lambda word: visible(word.group(), None), line)


def was_closed(stream: Any) -> bool:
    """Whether a standard stream was closed when the command began (``<&-``, ``>&-``)."""
    return getattr(stream, "name", "") == os.devnull


def escaped(error: UnicodeError) -> tuple[str, int]:
    r"""What an output's encoding cannot hold, as ``\u4e2d``: readable, and still the same text in JSON."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end


codecs.register_error("bertft-escaped", escaped)


def _open_streams() -> None:
    """Make the standard streams usable where they are closed, and able to print any text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="bertft-escaped")


def _leave_quietly() -> NoReturn:
    _drop_output()
    raise typer.Exit(READER_GONE)


def _drop_output() -> None:
    """Send what is still buffered nowhere: Python would try to write it once more when it ends, and complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError:  # a stream that is no file, in a notebook or a test
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process


def _where_to_get(module: str) -> str:
    """How a missing module is installed: by the extra of this package that holds it, where one does."""
    name = module.split(".")[0].replace("_", "-").lower()
    try:
        listed = requires("bertft-helpers") or []
    except PackageNotFoundError:
        listed = []
    for line in listed:
        if re.split(r"[^\w.-]", line)[0].replace("_", "-").lower() == name:
            extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
            return f"install it with: pip install 'bertft-helpers{f'[{extra[1]}]' if extra else ''}'"
    return f"install it with: pip install {name}"
