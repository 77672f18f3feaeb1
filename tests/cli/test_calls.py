"""Whole commands in processes of their own: their streams, their exit codes, what they say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from inputs.commands import CALLS, NAMES
from own_data import labelled_rows, tiny_checkpoint, write_csv

from bertft_helpers.inference import TextClassifier
from bertft_helpers.models import build_classifier
from bertft_helpers.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``inputs.commands`` describes."""
    folder = tmp_path_factory.mktemp("place")
    checkpoint = str(tiny_checkpoint(folder / "checkpoint"))
    TextClassifier(build_classifier(checkpoint, NAMES, 0), load_tokenizer(checkpoint)).save(folder / "model")
    write_csv(folder / "texts.csv", labelled_rows(4))
    write_csv(folder / "many.csv", [(f"text number {number}", "x") for number in range(3_000)])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_command_does_what_its_shell_must_see(name: str, place: Path) -> None:
    call = CALLS[name]
    environment = {
        **os.environ,
        "bertft": f"{sys.executable} -m bertft_helpers",
        "HF_HUB_OFFLINE": "0",
        "COLUMNS": "300",
    }
    done = subprocess.run(["bash", "-c", call.line], cwd=place, env=environment, capture_output=True, timeout=300)
    out, said = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    assert done.returncode == call.code, said
    assert [part for part in call.out if part not in out] == [], out
    assert [part for part in call.said if part not in said] == [], said
    assert [part for part in call.never if part in said] == [], said


def test_the_calls_are_counted(report: Callable[[str, object], None]) -> None:
    report("whole commands with odd streams, machines and names, each with its exit code and words", len(CALLS))


@pytest.mark.slow
@pytest.mark.parametrize("source", ["no/such", "hub:no/such"])
def test_a_hub_that_does_not_answer_is_waited_for_ten_seconds_at_most(source: str) -> None:
    script = (
        "import sys, time, datasets, huggingface_hub\n"
        "from bertft_helpers.own_texts.sources import load_source\n"
        "began = time.perf_counter()\n"
        "try: load_source(sys.argv[1])\n"
        "except FileNotFoundError as error: print(time.perf_counter() - began, error)"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes what is sent, and says nothing
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "HF_HUB_OFFLINE": "0",
        }
        command = [sys.executable, "-c", script, source]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    seconds, said = done.stdout.split(" ", 1)
    assert float(seconds) <= 10
    assert "there is no file or folder 'no/such'" in said
    assert "no answer in 8 seconds" in said
