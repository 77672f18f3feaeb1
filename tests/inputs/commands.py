"""Whole commands as a shell gives them: the line, the exit code, parts of standard output and of standard error.

They are run by bash in a folder with ``model`` (a classifier with the classes 水 and 火), ``checkpoint``, ``texts.csv``
(columns words and kind) and ``many.csv``; ``$bertft`` is the command.
"""

from __future__ import annotations

from typing import NamedTuple


class Call(NamedTuple):
    """A line for the shell and what must come of it; what is said must hold none of ``never``."""

    line: str
    code: int
    out: list[str]
    said: list[str]
    never: tuple[str, ...] = ("Traceback", "defect")


NAMES = ("水", "火")
PREDICT = "$bertft predict model --text words"
CALLS = {
    # standard streams
    "an output in Western Windows": Call(f"PYTHONIOENCODING=cp1252 {PREDICT} texts.csv", 0, [r"\u"], []),
    "an output in the letters of DOS": Call(f"PYTHONIOENCODING=cp437 {PREDICT} texts.csv", 0, [r"\u"], []),
    "an output in ASCII, as without a locale": Call(f"PYTHONIOENCODING=ascii {PREDICT} texts.csv", 0, [r"\u"], []),
    "a reader that takes one line": Call(
        f"set -o pipefail; {PREDICT} many.csv | head -n 1", 141, ["predicted_label"], [], ("Traceback", "ipe", "rror")
    ),
    "a reader that takes nothing": Call(
        f"set -o pipefail; {PREDICT} many.csv | true", 141, [], [], ("Traceback", "ipe")
    ),
    "no standard output": Call(f"{PREDICT} texts.csv >&-", 2, [], ["standard output is closed", "--out FILE"]),
    "no standard input": Call(f"{PREDICT} - <&-", 2, [], ["standard input is closed", "give a FILE"]),
    "no standard error": Call(f"{PREDICT} texts.csv 2>&-", 0, ["predicted_label"], []),
    "no standard streams at all, into a file": Call(
        f"{PREDICT} texts.csv --out o.csv <&- >&- 2>&-; cat o.csv", 0, ["words,kind,pred"], []
    ),
    "a full disk behind standard output": Call(f"{PREDICT} texts.csv > /dev/full", 1, [], ["No space left on device"]),
    "lines with the ends of Windows": Call(
        f"printf 'a b\\r\\nc\\r\\n' | {PREDICT} -", 0, ['"words": "a b",', '"words": "c",'], ["2 rows"]
    ),
    # the machine
    "an unknown backend of matplotlib": Call(
        "MPLBACKEND=nonsense $bertft train texts.csv --text words --label kind --checkpoint checkpoint --exact "
        "--epochs 1 --out run",
        0,
        ["report in run/report.html"],
        ["epoch 1 of"],
    ),
    "going on from a classifier of other classes": Call(
        "$bertft train texts.csv --text words --label kind --checkpoint model --exact --epochs 1 --out going-on",
        0,
        ["report in going-on/report.html"],
        ["model is a classifier already", "with a new head for the labels of these texts"],
    ),
    # names that are mistyped
    "a path that is not there": Call(
        "$bertft train no/such/texts.csv --dry-run", 2, [], ["no data at 'no/such/texts.csv'"]
    ),
    "a file that is not there": Call(
        "$bertft train txts.csv --dry-run --json", 2, ['{"error": "no data at'], ["no data at"]
    ),
    "a path with the folder's own name": Call("$bertft train ./texts --dry-run", 2, [], ["no data at './texts'"]),
    "a checkpoint like a name on the Hub": Call(
        "$bertft train texts.csv --text words --label kind --checkpoint google/no-such --dry-run",
        2,
        [],
        ["no checkpoint 'google/no-such'", "bundled"],
    ),
    "a model like a name on the Hub": Call(
        "$bertft predict google/no-such texts.csv", 2, [], ["google/no-such is no model folder"]
    ),
}
