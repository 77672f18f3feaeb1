"""Models and data sets of the Hub at one revision: whole, or one sentence that says why not."""

from __future__ import annotations

import contextlib
import errno
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertft_helpers.errors import DamagedFileError, MissingError, RunError, UserError, first_line
from bertft_helpers.model_files.manifest import remembered_sha256

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["PATIENCE", "cached_model", "download_model", "in_one_sentence", "load_train_split"]

PATIENCE = 8.0  # seconds for the first answer of the Hub
_COMMIT = re.compile("[0-9a-f]{40}")
_CONNECT = "the Hub at {endpoint} does not answer ({said}); connect to the network once"
_BROKEN_OFF = "the connection broke off; call again"
_UNKNOWN = "the Hub has none of that name that everybody may read; check the name"
# The client's errors by name, since their classes move between its versions and those of what it stands on; where one
# was raised because of another, the first in this order says most.
_REASONS = {
    "GatedRepoError": "its owner lets in who has asked; do so on its page on the Hub, then log in with: hf auth login",
    "RevisionNotFoundError": "it has no revision {revision} there, or not any more; name another",
    "RepositoryNotFoundError": _UNKNOWN,
    "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set, and it was not loaded here before; unset that variable once",
    **dict.fromkeys(["RemoteProtocolError", "ReadError", "ReadTimeout", "ChunkedEncodingError"], _BROKEN_OFF),
    **dict.fromkeys(["ConnectError", "ConnectTimeout", "ConnectionError", "TimeoutError"], _CONNECT),
    "DatasetNotFoundError": _UNKNOWN,
}


def cached_model(name: str, revision: str, patterns: Sequence[str]) -> Path | None:
    """The folder of a model's files on this machine, as far as they are here; the Hub is not asked."""
    from huggingface_hub import snapshot_download

    with contextlib.suppress(Exception):  # not here: the client's error classes differ between its versions
        return Path(snapshot_download(name, **_files(revision, patterns), local_files_only=True))
    return None


def download_model(name: str, revision: str, patterns: Sequence[str]) -> Path:
    """The folder with a model's files of the top level that match ``patterns``. Raises as ``in_one_sentence``."""
    from huggingface_hub import HfApi, snapshot_download

    with in_one_sentence(f"{name} could not be downloaded", revision):
        _first_answer(lambda: HfApi().model_info(name, revision=revision, timeout=PATIENCE))
        return Path(snapshot_download(name, **_files(revision, patterns)))


def load_train_split(name: str, revision: str | None, problem: str) -> Dataset:
    """The train split of a data set; code that it brings is never run.

    Offline it is what was loaded before, at that revision where this is a full commit. Raises as ``in_one_sentence``,
    with ``problem`` as what could not be done, and DamagedFileError for files that are not what the Hub announced.
    """
    from datasets import load_dataset

    with in_one_sentence(problem, revision):
        commit, announced = _announced(name, revision)
        try:
            raw = load_dataset(name, revision=commit, split="train", trust_remote_code=False)
        except Exception:
            _require_announced(name, commit, announced, made=[])  # this may be why
            raise
        _require_announced(name, commit, announced, made=[Path(file["filename"]).parent for file in raw.cache_files])
        _require_commit(raw, name, commit)
        return raw


@contextlib.contextmanager
def in_one_sentence(problem: str, revision: str | None) -> Iterator[None]:
    """What the Hub's client raises inside becomes MissingError: the problem, the reason, what to do.

    RunError where the disk is full.
    """
    try:
        yield
    except (UserError, RunError):
        raise
    except Exception as error:
        from huggingface_hub import constants

        chain = list(_chain(error))
        if any(isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT) for link in chain):
            raise RunError(
                f"{problem}: the disk is full, where the cache is {constants.HF_HOME}; make room there, or set the "
                "variable HF_HOME to a folder on another disk"
            ) from error
        names = {type(link).__name__ for link in chain}
        if constants.HF_HUB_OFFLINE and "ConnectionError" in names:  # so datasets calls it
            names.add("OfflineModeIsEnabled")
        reason = next((_REASONS[name] for name in _REASONS if name in names), "{said}")
        said = reason.format(endpoint=constants.ENDPOINT, revision=revision, said=first_line(error))
        raise MissingError(f"{problem}: {said}") from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _files(revision: str, patterns: Sequence[str]) -> dict[str, Any]:
    return {"revision": revision, "allow_patterns": list(patterns), "ignore_patterns": ["*/*"]}


def _announced(name: str, revision: str | None) -> tuple[str | None, dict[str, str]]:
    """The commit behind a revision, and the sha256 of its large files, as the Hub names them; offline nothing new."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return revision, {}
    ask = HfApi().dataset_info
    info = _first_answer(lambda: ask(name, revision=revision, timeout=PATIENCE, files_metadata=True))
    return info.sha, {file.rfilename: file.lfs.sha256 for file in info.siblings or [] if file.lfs}


def _require_announced(name: str, commit: str | None, announced: dict[str, str], made: list[Path]) -> None:
    """Compare the files that have come with their sha256; ``made`` are the folders that were made of them."""
    from huggingface_hub import try_to_load_from_cache

    for file, digest in announced.items():
        path = try_to_load_from_cache(name, file, repo_type="dataset", revision=commit)
        if isinstance(path, str) and remembered_sha256(Path(path)) != digest:
            places = dict.fromkeys([str(Path(path).resolve()), *map(str, made)])
            raise DamagedFileError(
                f"{file} of {name} is not the file that the Hub announced (its sha256 differs): delete "
                f"{' and '.join(places)}, then call again"
            )


def _require_commit(raw: Dataset, name: str, commit: str | None) -> None:
    """Offline, ``datasets`` takes the latest that was loaded before, whatever the revision."""
    folders = {folder for file in raw.cache_files for folder in Path(file["filename"]).parts}
    commits = sorted(folder for folder in folders if _COMMIT.fullmatch(folder))
    if commit and _COMMIT.fullmatch(commit) and commits and commit not in commits:
        raise MissingError(
            f"{name} was loaded here before at revision {commits[0]}, and {commit} is wanted: connect to the network "
            "once, and unset HF_HUB_OFFLINE"
        )


def _first_answer(ask: Callable[[], Any]) -> Any:
    """What the Hub answers to one question. Raises what that raises, or TimeoutError after ``PATIENCE`` seconds.

    Without it, loading would spend minutes in retries before it said that there is no network.
    """
    answers: list[Any] = []
    raised: list[Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if raised:
        raise raised[0]
    if not answers:
        raise TimeoutError(f"no answer in {PATIENCE:.0f} seconds")
    return answers[0]
