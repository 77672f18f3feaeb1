"""How a command ends: one sentence, an exit code, and nothing raw on the terminal, whatever it is given or asked."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from bertft_helpers.cli import console
from bertft_helpers.cli.commands import Commands
from bertft_helpers.cli.console import AsJson, printable, reported, told
from bertft_helpers.errors import MissingError, RunError, UserError


@pytest.mark.parametrize(
    ("error", "says", "code"),
    [
        (UserError("seed is -1"), "seed is -1", 2),
        (MissingError("no file 'a.csv'"), "no file 'a.csv'", 2),
        (RunError("step 3 diverged"), "step 3 diverged", 1),
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), "No space left on device: 'out/x'", 1),
        (MemoryError(), "the memory of this machine or its device does not suffice (MemoryError)", 1),
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nto"), "not suffice (CUDA out of memory. Tried); free", 1),
        (KeyboardInterrupt(), "stopped here", 1),
        (ModuleNotFoundError("No module named 'nbgrader'", name="nbgrader"), "pip install 'bertft-helpers[dev]'", 1),
        (ModuleNotFoundError("No module named 'nbval'", name="nbval"), "pip install 'bertft-helpers[lab]'", 1),
        (ModuleNotFoundError("No module named 'absent'", name="absent"), "pip install absent", 1),
    ],
)
def test_every_kind_of_error_has_its_sentence_and_its_exit_code(error: BaseException, says: str, code: int) -> None:
    message, exits = told(error, "stopped here")
    assert says in message
    assert exits == code


def failing(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    @app.command()
    @reported()
    def fail(count: int = 0, as_json: AsJson = False) -> None:
        raise error

    @app.command()
    def other() -> None:
        """A second command, so that the first one has a name."""

    return app


def test_a_defect_says_where_it_is_and_debug_shows_the_traceback() -> None:
    app = failing(KeyError("labels"))
    plain = CliRunner().invoke(app, ["fail"], env={"COLUMNS": "400"})
    assert plain.exit_code == 1
    assert "this is a defect of bertft, not of what you gave it: KeyError: 'labels'" in plain.stderr
    assert "(test_console.py, line" in plain.stderr
    assert "Traceback" not in plain.stderr
    debugged = CliRunner().invoke(app, ["fail", "--debug"])
    assert debugged.exit_code == 1
    assert "Traceback" in debugged.stderr


def test_a_program_gets_errors_as_json_also_those_of_usage() -> None:
    failed = CliRunner().invoke(failing(RunError("step 3 diverged")), ["fail", "--json"])
    assert json.loads(failed.stdout) == {"error": "step 3 diverged", "exit_code": 1}
    assert failed.exit_code == 1
    wrong = CliRunner().invoke(failing(RunError("x")), ["fail", "--count", "many", "--json"])
    assert wrong.exit_code == json.loads(wrong.stdout)["exit_code"] == 2
    assert "--count" in json.loads(wrong.stdout)["error"]


def test_what_could_steer_a_terminal_is_written_out_and_columns_stay() -> None:
    assert printable("\x1b[31m  a\u009bb \u202ec") == "<U+001B>[31m  a<U+009B>b <U+202E>c"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8"])
def test_any_encoding_of_the_output_holds_any_label_and_json_stays_json(encoding: str) -> None:
    script = "from bertft_helpers.cli import console as c; c._open_streams(); c.answer_json('ä 中 😀 \\udc80')"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout.decode(encoding)) == "ä 中 😀 \udc80"


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    script = (
        "from bertft_helpers.cli.console import answer, reported\n"
        "import typer\n"
        "@reported()\n"
        "def many():\n    for n in range(100_000): answer(f'line {n}')\n"
        "typer.run(many)"
    )
    command = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    command.stdout.readline()
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait() == console.READER_GONE == 141


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_end_ends_as_ctrl_c_does(number: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import pathlib, time, typer\n"
        "from bertft_helpers.cli.console import reported\n"
        "from bertft_helpers.files import scratch_folder\n"
        "@reported('call it again')\n"
        "def wait():\n"
        "    with scratch_folder('run'):\n        print('ready', flush=True); time.sleep(60)\n"
        "typer.run(wait)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup around the tests would have it ignored
    )
    assert command.stdout.readline() == b"ready\n"
    command.send_signal(number)
    _, said = command.communicate(timeout=30)
    assert (command.returncode, said.decode().strip()) == (1, "call it again")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_standard_output_is_no_traceback() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m bertft_helpers stamp >&-"], capture_output=True, check=False, text=True
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "give one of OWNER/REPO@TAG and --clear" in done.stderr
