"""``bertft train`` under a launcher: several processes make the one run that a single process makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_data import labelled_rows, tiny_checkpoint, write_csv
from safetensors.torch import load_file

LAUNCHED = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--module", "bertft_helpers")


def train(folder: Path, out: str, *launcher: str) -> subprocess.CompletedProcess[str]:
    columns = ("--text", "words", "--label", "kind", "--checkpoint", folder / "checkpoint", "--device", "cpu")
    options = ("--exact", "--out", folder / out, "--epochs", 2, "--learning-rate", 0.01, "--batch-size", 8)
    command = [sys.executable, "-m", *launcher, "train", folder / "texts.csv", *columns, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=240)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts and a checkpoint without dropout, which each process would draw for its own rows."""
    config = tiny_checkpoint(tmp_path / "checkpoint") / "config.json"
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps({**json.loads(config.read_text()), **without}))
    write_csv(tmp_path / "texts.csv", labelled_rows())
    return tmp_path


def largest_difference(first: Path, second: Path) -> tuple[float, str]:
    """Between two models, with its weight's name. The biases of keys cancel in the softmax: their gradient is rounding,
    of which AdamW makes whole steps."""
    mine, theirs = (load_file(run / "model" / "model.safetensors") for run in (first, second))
    names = [name for name in mine if not name.endswith("key.bias")]
    return max((float((mine[name] - theirs[name]).abs().max()), name) for name in names)


@pytest.mark.slow
def test_two_launched_processes_make_one_run_and_say_everything_once(folder: Path) -> None:
    alone, together = train(folder, "alone", "bertft_helpers"), train(folder, "together", *LAUNCHED)
    assert (alone.returncode, together.returncode) == (0, 0), together.stderr
    assert together.stdout.replace("together", "alone") == alone.stdout
    assert largest_difference(folder / "alone", folder / "together") <= (1e-4, "")
    assert together.stderr.count("epoch 1 of at most 2") == 1
    assert json.loads((folder / "together" / "results.json").read_text())["run"]["processes"] == 2
    again = train(folder, "together", *LAUNCHED)
    assert (again.returncode, again.stdout) == (0, together.stdout)
    assert again.stderr.count("this run is finished") == 1


@pytest.mark.slow
def test_a_folder_that_the_first_process_refuses_ends_all_of_them(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").write_text("precious")
    refused = train(folder, "out", *LAUNCHED)
    assert refused.returncode != 0
    assert "holds no run of this command; choose another --out" in refused.stderr
    assert [path.name for path in (folder / "out").iterdir()] == ["thesis.tex"]
