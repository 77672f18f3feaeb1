"""A saved classifier says what it consists of, and a folder that says otherwise is not loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from minimal import tiny_classifier

from bertft_helpers.errors import DamagedFileError, UserError
from bertft_helpers.inference import TextClassifier
from bertft_helpers.model_files import manifest
from bertft_helpers.model_files.manifest import MANIFEST, remembered_sha256, sha256_of
from bertft_helpers.pretrained import find_checkpoint, load_tokenizer

TEXTS = ["AT&amp;T wins  a bid", "late goal"]
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of b"abc", in FIPS 180-2, B.1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = load_tokenizer()
    model = tiny_classifier(vocab_size=len(tokenizer), id2label={0: "ham", 1: "news", 2: "spam"}, initializer_range=0.5)
    TextClassifier(model.eval(), tokenizer, max_length=12, policy="tail").save(tmp_path / "model")
    return tmp_path / "model"


def flip_a_bit(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return flip


def change_entry(name: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        entries = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps({**entries, name: value}))

    return change


def test_the_manifest_says_what_was_saved_and_with_what(folder: Path) -> None:
    entries = json.loads((folder / MANIFEST).read_text())
    assert entries["label_names"] == ["ham", "news", "spam"]
    assert (entries["preprocessing"], entries["max_length"], entries["policy"]) == ("repair", 12, "tail")
    assert set(entries["files"]) == {path.name for path in folder.iterdir()} - {"README.md", MANIFEST}
    weights = entries["files"]["model.safetensors"]
    assert weights == {
        "size": (folder / "model.safetensors").stat().st_size,
        "sha256": sha256_of(folder / "model.safetensors"),
    }
    assert entries["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_what_was_saved_comes_back_with_its_limit_its_policy_and_its_repair(folder: Path) -> None:
    loaded = TextClassifier.load(folder)
    assert (loaded.max_length, loaded.policy, loaded.preprocessing, loaded.notes) == (12, "tail", "repair", [])
    assert len(loaded.predict(TEXTS)) == 2


def test_a_card_completed_by_hand_is_no_damage(folder: Path) -> None:
    (folder / "README.md").write_text("Tested on the letters of 2024 as well.")
    (folder / "notes.txt").write_text("a file of no weights")
    TextClassifier.load(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit("model.safetensors"), r"model\.safetensors .* is not what was saved \(its sha256 differs\)"),
        (flip_a_bit("tokenizer.json"), r"tokenizer\.json .* is not what was saved"),
        (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer\.json is missing in .*: copy the whole folder again"),
        (lambda f: (f / "tokenizer_config.json").unlink(), r"tokenizer_config\.json is missing"),
        (lambda f: (f / "config.json").write_text("{}"), r"config\.json .* has 2 bytes, saved were"),
        (lambda f: (f / "pytorch_model.bin").write_bytes(b"x"), r"not saved with this model: pytorch_model\.bin"),
        (lambda f: (f / "model-00001-of-00002.safetensors").write_bytes(b"x"), "not saved with this model: model-0"),
        (lambda f: (f / MANIFEST).write_text("[]"), r"manifest\.json .* is damaged .*copy the folder again"),
        (lambda f: (f / MANIFEST).write_text(""), r"manifest\.json .* is damaged"),
        (lambda f: (f / MANIFEST).write_text("{}"), r"manifest\.json .* is damaged .*label_names"),
        (lambda f: (f / MANIFEST).write_bytes(b"\xff\xfe"), r"manifest\.json .* is damaged"),
        (change_entry("files", ["model.safetensors"]), "its files is no dict"),
        (change_entry("files", {"model.safetensors": 3}), "no size and sha256"),
        (change_entry("max_length", "long"), "its max_length is no int"),
    ],
)
def test_another_content_than_the_saved_is_refused(folder: Path, damage: Callable, message: str) -> None:
    damage(folder)
    with pytest.raises(DamagedFileError, match=message):
        TextClassifier.load(folder)


def test_a_damaged_classifier_is_no_checkpoint_either(folder: Path) -> None:
    assert find_checkpoint(str(folder)) == folder
    flip_a_bit("model.safetensors")(folder)
    with pytest.raises(DamagedFileError, match="not what was saved"):
        find_checkpoint(str(folder))


def test_an_unknown_preprocessing_is_refused_by_its_name(folder: Path) -> None:
    change_entry("preprocessing", "lowercase")(folder)
    with pytest.raises(UserError, match="no preprocessing 'lowercase'; choose one of repair, none"):
        TextClassifier.load(folder)


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    os.utime(path, ns=(0, 10**18))  # changed long ago
    read: list[Path] = []
    monkeypatch.setattr(manifest, "sha256_of", lambda file: read.append(file) or sha256_of(file))
    assert [remembered_sha256(path) for _ in range(3)] == [ABC_SHA256] * 3
    assert len(read) == 1
    path.write_bytes(b"abd")
    assert remembered_sha256(path) != ABC_SHA256
    os.utime(path, ns=(0, 10**18 + 1))  # the same size, another time
    assert remembered_sha256(path) == sha256_of(path)


def test_a_file_that_has_just_changed_is_not_trusted_by_its_time(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abd")
    status = path.stat()
    assert remembered_sha256(path) != ABC_SHA256
    path.write_bytes(b"abc")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # within one tick of the clock
    assert remembered_sha256(path) == ABC_SHA256


def test_one_run_reads_the_weights_of_its_checkpoint_once(monkeypatch: pytest.MonkeyPatch) -> None:
    find_checkpoint("bundled")
    monkeypatch.setattr(manifest, "sha256_of", lambda file: pytest.fail(f"{file} was hashed again"))
    find_checkpoint("bundled")


def test_a_folder_saved_before_there_was_a_temperature_answers_as_before(folder: Path) -> None:
    before = TextClassifier.load(folder).predict(TEXTS)
    entries = json.loads((folder / MANIFEST).read_text())
    assert entries.pop("temperature") == 1.0
    (folder / MANIFEST).write_text(json.dumps(entries))
    loaded = TextClassifier.load(folder)
    assert loaded.temperature == 1.0
    assert loaded.predict(TEXTS) == before


@pytest.mark.parametrize("value", [0, -1.5, "warm", None, True, float("inf"), float("nan")])
def test_a_temperature_that_no_logit_can_be_divided_by_is_damage(folder: Path, value: object) -> None:
    change_entry("temperature", value)(folder)
    with pytest.raises(DamagedFileError, match=r"its temperature is .*, no number above 0"):
        TextClassifier.load(folder)
