"""Files as a whole or not at all, locks that a kill frees, and leftovers told from what is still being written."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bertft_helpers import files
from bertft_helpers.errors import RunError
from bertft_helpers.files import held, new_file, new_folder, read_json, remove_folder, scratch_folder, sweep, write_json

FORK = multiprocessing.get_context("fork")


def killed_in(*contexts: contextlib.AbstractContextManager) -> None:
    """Enter the contexts in a child that then kills itself with SIGKILL."""
    child = os.fork()
    if child == 0:
        for context in contexts:
            context.__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    path.chmod(0o600)
    write_json(path, {"a": "ß"})
    assert path.read_text(encoding="utf-8") == '{\n "a": "ß"\n}\n'
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), new_file(path) as draft:
        raise ZeroDivisionError(draft.write_text("half"))
    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "target.json", tmp_path / "link.json"
    link.symlink_to(target)
    write_json(link, {"a": 1})
    assert link.is_symlink()
    assert read_json(target, "") == {"a": 1}


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 124 + ".json")
    write_json(path, {"a": 1})
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_told_by_the_name_that_was_given(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "results.json"
    with pytest.raises(FileNotFoundError) as told:
        write_json(path, {"a": 1})
    assert told.value.filename == str(path)


def test_a_file_that_cannot_be_read_meanwhile_is_not_taken_for_the_written_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="source"), new_file(tmp_path / "out.csv"):
        (tmp_path / "source.csv").open()


def write_limited(folder: Path, outcome: Any) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    try:
        with new_folder(folder / "model") as draft:
            save_file({"weights": torch.zeros(10_000)}, draft / "model.safetensors")
    except OSError as error:
        outcome.value = error.errno


def test_what_rust_libraries_say_of_a_full_disk_is_an_oserror_and_leaves_nothing(tmp_path: Path) -> None:
    outcome = FORK.Value("i", 0)
    process = FORK.Process(target=write_limited, args=(tmp_path, outcome))
    process.start()
    process.join()
    assert outcome.value == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_a_folder_gets_its_name_when_it_is_complete_and_removes_nobodys_files(tmp_path: Path) -> None:
    with new_folder(tmp_path / "model") as draft:
        (draft / "config.json").write_text("{}")
        assert not (tmp_path / "model").exists()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "model") as draft:
        (draft / "config.json").write_text("other")
    assert (tmp_path / "model" / "config.json").read_text() == "{}"
    remove_folder(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["[]", "{}", "", '{"a": 1', "[" * 100_000, "null", "\x00"])
def test_a_damaged_json_file_is_named_with_the_remedy(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(RunError, match=r"run\.json is damaged .*; choose another --out"):
        read_json(path, "choose another --out")


def test_drafts_of_a_killed_process_are_swept_and_users_files_are_not(tmp_path: Path) -> None:
    def half_written() -> Iterator[None]:
        with new_file(tmp_path / "out.csv") as file, new_folder(tmp_path / "model") as folder:
            file.write_text("half")
            (folder / "weights").write_text("half")
            yield

    killed_in(contextlib.contextmanager(half_written)())
    for name in (".out.csv.draft", ".out.csv.12345", "a.draft", ".0a0a0a0a-1-0a0a0a0a-0.draft"):
        (tmp_path / name).write_text("mine")
    assert len(list(tmp_path.iterdir())) == 6
    sweep(tmp_path)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}
    assert len(list(tmp_path.iterdir())) == 4


def test_a_draft_that_is_being_written_is_not_swept(tmp_path: Path) -> None:
    def write(begun: Any) -> None:
        with new_file(tmp_path / "theirs") as draft:
            draft.write_text("half")
            begun.set()
            time.sleep(60)

    begun = FORK.Event()
    other = FORK.Process(target=write, args=(begun,))
    other.start()
    assert begun.wait(30)
    with new_file(tmp_path / "ours") as draft:
        draft.write_text("half")
        sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2
    other.kill()
    other.join()


def test_a_draft_of_an_earlier_process_with_this_ones_number_is_swept(tmp_path: Path) -> None:
    # in a container the command often has the same number each time
    draft = tmp_path / f".out.csv.{files._host()}-{os.getpid()}-00000000-0.draft"
    draft.write_text("half")
    sweep(tmp_path)
    assert not draft.exists()


def test_a_draft_of_another_machine_is_swept_after_a_day(tmp_path: Path) -> None:
    young, old = (tmp_path / f".{name}.00000000-1-00000000-0.draft" for name in ("young", "old"))
    young.write_text("half")
    old.write_text("half")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_lock_refuses_another_process_names_the_owner_and_is_freed_by_a_kill(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "rows.csv"

    def hold(begun: Any) -> None:
        with held(path):
            begun.set()
            time.sleep(60)

    begun = FORK.Event()
    other = FORK.Process(target=hold, args=(begun,))
    other.start()
    assert begun.wait(30)
    with pytest.raises(RunError, match=rf"another process writes to .*: process {other.pid} on "), held(path):
        pass
    other.kill()
    other.join()
    notes: list[str] = []
    with held(path, notes.append):
        assert f"process {other.pid} on" in notes[0]
        assert "ended without finishing" in notes[0]
    assert list(tmp_path.iterdir()) == []


def test_temporary_folders_of_killed_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed_in(scratch_folder("kernel"))
    (tmp_path / "bertft-notes").mkdir()
    assert len(list(tmp_path.iterdir())) == 2
    with scratch_folder("run") as folder:
        assert {path.name for path in tmp_path.iterdir()} == {folder.name, "bertft-notes"}
        assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in tmp_path.iterdir()] == ["bertft-notes"]
