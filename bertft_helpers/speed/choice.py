"""What trains quickest on this machine, found once by a trial and kept; and a model set up that way.

Number formats and ways to draw dropout gain a factor of three on one processor and lose on another, so neither a flag
nor the processor's name decides, but ``trial``. What changes no number is not a choice: it is always used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from transformers import BertForSequenceClassification, BertModel

from bertft_helpers.errors import RunError, first_line
from bertft_helpers.first_token import use_all_tokens, use_first_token
from bertft_helpers.speed import trial
from bertft_helpers.speed.dropout import byte_generator, restore_dropout, use_byte_dropout
from bertft_helpers.speed.machine import describe_machine
from bertft_helpers.speed.throughput import keep_freed_memory

__all__ = [
    "EXACT",
    "Choice",
    "find_choice",
    "in_words",
    "require_precision",
    "set_up",
    "take_down",
    "trouble_with",
    "try_out",
    "use_process",
]


@dataclasses.dataclass(frozen=True)
class Choice:
    """How to train and predict on a machine; the default is the exact way: float32, and dropout as torch draws it.

    ``precision`` is one of ``config.PRECISIONS``; ``dropout`` is ``torch`` or ``bytes`` (``speed.dropout``);
    ``first_token`` whether the top layer computes [CLS] alone; ``threads`` those of torch (None: as they are);
    ``token_budget`` the size of a batch of predictions. ``gain`` tells how many times as fast as the exact way the
    steps of the trial were, ``note`` what was left out and why.
    """

    precision: str = "float32"
    dropout: str = "torch"
    first_token: bool = False
    threads: int | None = None
    token_budget: int = 1024
    gain: float = 1.0
    note: str = ""


EXACT = Choice()


def find_choice(device: torch.device, folder: Path | None = None) -> Choice:
    """The choice for this machine: the one that was kept, else that of a trial, which is then kept in ``folder``.

    ``folder`` is what BERTFT_CACHE names, or the user's cache folder, unless given. A cache that cannot be read or
    written costs a trial, no more; a device on which the trial breaks gets the exact way, and a note.
    """
    machine = describe_machine(device)
    digest = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:16]
    path = (folder or Path(os.environ.get("BERTFT_CACHE") or user_cache_path("bertft"))) / f"choice-{digest}.json"
    choice = _kept(path)
    if choice is not None:
        return choice
    try:
        choice = try_out(device)
    except (RuntimeError, NotImplementedError) as error:  # not kept: a driver may be mended by the next time
        reason = first_line(error)
        return dataclasses.replace(EXACT, note=f"no trial of speed: a step failed on this device ({reason})")
    _keep(path, choice, machine)
    return choice


def try_out(device: torch.device, clock: trial.Clock = time.perf_counter) -> Choice:
    """Time the ways that work on ``device`` (about two seconds on a CPU) and choose; changes no random state."""
    with _own_draws(device):
        layer = trial.one_layer(device)
        ways, notes = _ways_that_work(layer)
        by_length = [trial.seconds_of_steps(layer, ways, length, clock) for length in trial.LENGTHS]
        seconds = {way: [found[way] for found in by_length] for way in ways}
        way = trial.quickest(seconds)
        threads = trial.quickest_threads(layer, way, clock)
        budget = trial.quickest_budget(layer, clock)
    gain = round(trial.gain_of(seconds, way), 2)
    return Choice(way.precision, way.dropout, True, threads, budget, gain, "; ".join(notes))


def _own_draws(device: torch.device) -> AbstractContextManager[None]:
    """Random numbers drawn inside are not missing outside: a run does not depend on whether there was a trial."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _ways_that_work(layer: BertModel) -> tuple[list[trial.Way], list[str]]:
    """The ways whose number format gives right numbers here, and a note on each format that does not."""
    ways = trial.ways_for(layer.device)
    troubles = {precision: trial.trouble_with(layer, precision) for precision, _ in ways}
    notes = [f"{precision} is left out: {trouble}" for precision, trouble in troubles.items() if trouble]
    return [way for way in ways if not troubles[way.precision]], notes


def trouble_with(device: torch.device, precision: str) -> str:
    """Why numbers in ``precision`` (one of ``config.PRECISIONS``) must not be used on ``device``; empty when right."""
    if precision == "float32":
        return ""
    with _own_draws(device):
        return trial.trouble_with(trial.one_layer(device), precision)


def require_precision(device: torch.device, precision: str) -> None:
    """Raise RunError when numbers in the precision that was asked for are wrong on ``device``."""
    if trouble := trouble_with(device, precision):
        raise RunError(f"{precision} was asked for and cannot be used: {trouble}; leave --precision out")


def in_words(choice: Choice) -> str:
    """A choice as a reader of a report or of ``bertft doctor`` wants it."""
    dropout = "dropout drawn as bytes" if choice.dropout == "bytes" else "torch's own dropout"
    gain = f", {choice.gain:.1f} times as fast as the exact way in a trial here" if choice.gain > 1 else ""
    return f"{choice.precision}, {dropout}{gain}"


def use_process(choice: Choice) -> None:
    """Let this process keep its memory and have the threads of ``choice``, for training and predicting alike."""
    keep_freed_memory()
    if choice.threads is not None:
        torch.set_num_threads(choice.threads)


def set_up(model: BertForSequenceClassification, choice: Choice, seed: int) -> None:
    """Make a classifier that is to be trained as quick as ``choice`` says.

    Call it before the optimizer is built, and ``take_down`` before the model is saved.
    """
    use_process(choice)
    if choice.first_token:
        use_first_token(model)
    if choice.dropout == "bytes":
        use_byte_dropout(model, seed)


def take_down(model: BertForSequenceClassification) -> None:
    """Give the model back its own forward passes and dropout, whatever it was set up with."""
    use_all_tokens(model)
    if byte_generator(model) is not None:
        restore_dropout(model)


def _kept(path: Path) -> Choice | None:
    """The choice in a file; None when there is none or it is not one that this version writes."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return Choice(**json.loads(path.read_text(encoding="utf-8"))["choice"])
    return None


def _keep(path: Path, choice: Choice, machine: dict[str, Any]) -> None:
    text = json.dumps({"choice": dataclasses.asdict(choice), "machine": machine}, indent=1, ensure_ascii=False)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
