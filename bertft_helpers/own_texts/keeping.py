"""What a run leaves in its folder: the model that is kept, then the pages and results that make it a finished one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from bertft_helpers.errors import RunError
from bertft_helpers.files import new_folder, remove_folder, write_json, write_text
from bertft_helpers.history import write_csv
from bertft_helpers.inference import TextClassifier
from bertft_helpers.own_texts import folder as run_folder
from bertft_helpers.own_texts.folder import Say
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.whole_texts import about_longer
from bertft_helpers.own_texts.winner import FINE_TUNED, kind_of

__all__ = ["Keepable", "facts_of_cut", "finish", "save_first", "save_kept"]


class Keepable(Protocol):
    """A method by its name, with a model that can be written into a new folder."""

    @property
    def name(self) -> str: ...

    def save(self, folder: Path) -> None: ...


def save_first(out: Path, tuned: Keepable, say: Say) -> None:
    """Save the fine-tuned model before the baselines: one that is killed, for want of memory, must not cost the run."""
    if not (out / run_folder.MODEL).exists():
        tuned.save(out / run_folder.MODEL)
        say("the fine-tuned model is saved")


def save_kept(out: Path, kept: Keepable) -> None:
    """Let the run's model be ``kept``: one that a call before this has saved stays, but for a fine-tuned one.

    Raises RunError for a model that lacks files, and for one of another method.
    """
    folder = out / run_folder.MODEL
    if folder.exists():
        if missing := run_folder.missing_from_model(out):
            raise RunError(f"{folder} lacks {' and '.join(missing)}: move it away and call again")
        there = kind_of(folder)
        if there == kept.name:
            return
        if there != FINE_TUNED:  # saved on another machine, where a close call went otherwise
            raise RunError(f"{folder} holds {there}, but here {kept.name} is chosen: move it away and call again")
        remove_folder(folder)
    kept.save(folder)


def facts_of_cut(classifier: object) -> dict[str, str]:
    """What a card says of long texts; nothing for a model that all tools let read all of them."""
    if not isinstance(classifier, TextClassifier):
        return {}
    return {"texts longer than the limit": f"{about_longer(classifier)}; other tools keep the head"}


def finish(record: TaskRecord, out: Path, pages: Mapping[str, str], say: Say) -> None:
    """Write history, pages and, last, ``results.json``; then the training states are not needed any more."""
    if not (out / "history").exists():
        with new_folder(out / "history") as draft:
            write_csv(record.history, draft)
    for name, page in pages.items():
        write_text(out / name, page)
    write_json(out / "results.json", record.results)
    run_folder.clear_training(out / run_folder.TRAINING, say)
