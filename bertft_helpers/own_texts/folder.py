"""The folder of a run: taken by one command at a time, told from other folders, cleaned only of what we put there.

``run.json`` says what the run was asked to do, ``training`` holds its states, ``model``, ``history`` and
``report.html`` what came out; ``results.json`` is written last and makes the run a finished one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.files import DRAFT, held, read_json, remove_folder, sweep, write_json
from bertft_helpers.model_files.manifest import read_manifest
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.resume.states import states_in
from bertft_helpers.speed.choice import EXACT, Choice, find_choice, in_words, require_precision, trouble_with

__all__ = [
    "ANEW",
    "MODEL",
    "MODEL_FILES",
    "TRAINING",
    "Say",
    "choice_for",
    "clear_training",
    "finished_results",
    "megabytes_of_model",
    "missing_from_model",
    "refuse_other",
    "removal_told",
    "require_held",
    "take",
    "take_choice",
    "tidy",
]

Say = Callable[[str], None]
MODEL, TRAINING = "model", "training"
MODEL_FILES = ("config.json", "model.safetensors")
ANEW = "move the folder away, or remove it, and call bertft train again"


def take(out: Path, settings: TaskSettings, digest: str, held_by: contextlib.ExitStack) -> None:
    """Make ``out`` this run's folder and hold it until ``held_by`` is closed; drafts of killed calls are removed.

    Raises UserError when it holds something else, naming the differences, and RunError when another process is at it.
    """
    refuse_other(out, settings, digest)  # before anything is written there, the lock included
    out.mkdir(parents=True, exist_ok=True)
    held_by.enter_context(held(out))
    sweep(out)
    refuse_other(out, settings, digest)  # it may have become another's until it was held
    if not (out / "run.json").is_file():
        write_json(out / "run.json", _identity(settings, digest))


def take_choice(out: Path, settings: TaskSettings, device: torch.device, say: Say) -> Choice:
    """How this run trains: as it began, whatever machine goes on with it; at first as this machine is quickest.

    Kept in ``speed.json``; threads are always this machine's. Raises RunError when the file is damaged, and when the
    precision in which the run began gives wrong numbers here.
    """
    path = out / "speed.json"
    here = choice_for(settings, device)
    if not path.is_file():
        write_json(path, dataclasses.asdict(here))
        say(f"training in {in_words(here)}" + (f"; {here.note}" if here.note else ""))
        return here
    try:
        begun = Choice(**read_json(path, ANEW))
    except TypeError as error:
        raise RunError(f"{path} is damaged ({error}); {ANEW}") from error
    if (begun.precision, begun.dropout) != (here.precision, here.dropout):
        there = in_words(dataclasses.replace(begun, gain=1.0))
        say(f"note: this run began with {there}, and goes on so; this machine by itself: {in_words(here)}")
    if begun.precision != here.precision and (trouble := trouble_with(device, begun.precision)):
        raise RunError(
            f"this run began in {begun.precision}, but {trouble}: go on where it began, or name another --out"
        )
    return dataclasses.replace(begun, threads=here.threads, token_budget=here.token_budget)


def choice_for(settings: TaskSettings, device: torch.device) -> Choice:
    """What is quickest on this machine, or what the settings ask for."""
    if settings.exact:
        return EXACT
    quickest = find_choice(device)
    if settings.precision is None or settings.precision == quickest.precision:
        return quickest
    require_precision(device, settings.precision)
    return dataclasses.replace(quickest, precision=settings.precision, gain=1.0)


def refuse_other(out: Path, settings: TaskSettings, digest: str) -> None:
    """Raise UserError when ``out`` holds another run or something else; RunError when its ``run.json`` is damaged."""
    if (out / "run.json").is_file():
        saved = read_json(out / "run.json", ANEW)
        different = [
            f"{name} (there {saved.get(name)!r}, now {value!r})"
            for name, value in _identity(settings, digest).items()
            if name != "source" and saved.get(name) != value
        ]
        if different:
            raise UserError(
                f"{out} holds another run; different are {'; '.join(different)}. Give the same settings and texts "
                "to go on with it, or another --out."
            )
    elif out.exists() and (not out.is_dir() or any(map(_is_anothers, out.iterdir()))):
        raise UserError(f"{out} exists and holds no run of this command; choose another --out")


def _identity(settings: TaskSettings, digest: str) -> dict[str, Any]:
    return json.loads(json.dumps({**dataclasses.asdict(settings), "texts": digest}))  # as it is read back


def _is_anothers(path: Path) -> bool:
    """Whether a file can be of something else than a first call that was killed while it took the folder."""
    return path.name != ".lock" and not DRAFT.fullmatch(path.name)


def finished_results(out: Path, say: Say) -> dict[str, Any] | None:
    """The results of the run in ``out``; None while it is not finished, and when its model is gone.

    Raises RunError for a damaged ``results.json`` and for a model of which a part is missing.
    """
    path = out / "results.json"
    if not path.is_file():
        return None
    results = read_json(path, "remove it and call bertft train again, which makes it anew")
    if not (out / MODEL).exists():
        say(f"the model of this finished run is gone from {out}: it is trained again")
        return None
    missing = missing_from_model(out)
    if missing:
        raise RunError(
            f"the model of this finished run has lost {' and '.join(missing)}: move {out / MODEL} away and call "
            "bertft train again, which trains it anew"
        )
    return results


def missing_from_model(out: Path) -> list[str]:
    """The files without which the run's model cannot be loaded; its manifest names them, if it has one."""
    manifest = read_manifest(out / MODEL)
    names = MODEL_FILES if manifest is None else manifest.files
    return [name for name in names if not (out / MODEL / name).is_file()]


def megabytes_of_model(out: Path) -> float:
    """The size of the run's weights."""
    return round(sum(path.stat().st_size for path in (out / MODEL).glob("*.safetensors")) / 1e6, 1)


def require_held(out: Path) -> None:
    """Raise RunError when the folder was removed or replaced while the run was at work."""
    if not (out / ".lock").is_file() or not (out / "run.json").is_file():
        raise RunError(
            f"{out} was removed or replaced while the run was at work, so its model has no place; call again"
        )


@contextlib.contextmanager
def removal_told(out: Path) -> Iterator[None]:
    """What is missing because somebody took the folder away is told as that. Raises as ``require_held``."""
    try:
        yield
    except FileNotFoundError:
        require_held(out)
        raise


def clear_training(folder: Path, say: Say) -> None:
    """Remove the states and what else a run keeps in ``training``; a user's files stay, and then the folder too.

    What cannot be removed is told; the next call tries again, since no result needs it.
    """
    sweep(folder)
    try:
        for state in states_in(folder):
            remove_folder(state)
        for name in ("costs.json", ".lock"):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        say(f"note: the training states could not be removed ({error}); call again to remove them")
        return
    with contextlib.suppress(OSError):  # not empty: something in it is not ours
        folder.rmdir()


def tidy(out: Path, say: Say) -> None:
    """Remove from a finished run what the call that finished it was kept from removing; nothing where it is at work."""
    left = (path.name for path in out.iterdir())
    if not any(name in (TRAINING, ".lock") or DRAFT.fullmatch(name) for name in left):
        return
    with contextlib.suppress(OSError, RunError), held(out):
        sweep(out)
        clear_training(out / TRAINING, say)
