"""What the package loads from the Hub, from one in a box: the right revision, once, and one sentence for each fault."""

from __future__ import annotations

import dataclasses
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from disks import Disk
from hub import Hub, Repository, hub_in_a_box, take_for_the_hub
from hub_files import CLASSES, ag_news, bert_base, checkpoint_of

from bertft_helpers import hub as hub_module
from bertft_helpers import pretrained
from bertft_helpers.data import AG_NEWS, load_texts
from bertft_helpers.errors import DamagedFileError, MissingError, RunError
from bertft_helpers.models import build_classifier
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.pretrained import BERT_BASE, find_checkpoint, load_encoder, load_tokenizer

SMALL = {"config.json": b"{}", "vocab.txt": b"[PAD]\n", "model.safetensors": b"weights " * 9_000}
NOT_WANTED = {"pytorch_model.bin": b"a pickle", "coreml/model.json": b"{}", "README.md": b"# BERT"}
MODEL = Repository("models", BERT_BASE.hub_name, BERT_BASE.revision, {**SMALL, **NOT_WANTED})
LARGE = {"models": "model.safetensors", "datasets": "data/train-00000-of-00001.parquet"}
Load = Callable[[], Any]


class Place(NamedTuple):
    """A Hub with a model and a data set, taken for the real one, and a cache of one's own."""

    hub: Hub
    home: Path

    def repository(self, kind: str) -> Repository:
        return next(repository for repository in self.hub.repositories if repository.kind == kind)

    def goes_offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        take_for_the_hub(self.hub, self.home, monkeypatch, offline=True)
        self.hub.asked.clear()


@pytest.fixture(scope="module")
def news() -> Repository:
    return ag_news()


@pytest.fixture
def place(news: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setitem(pretrained.CHECKPOINTS, "bert-base-uncased", checkpoint_of(MODEL))
    with hub_in_a_box(dataclasses.replace(MODEL), dataclasses.replace(news)) as hub:
        take_for_the_hub(hub, tmp_path / "home", monkeypatch)
        yield Place(hub, tmp_path / "home")


def load_model_files() -> bytes:
    return (find_checkpoint("bert-base-uncased") / LARGE["models"]).read_bytes()


def load_news() -> list[str]:
    return load_texts("ag_news")["text"][:]


LOADS: dict[str, Load] = {"models": load_model_files, "datasets": load_news}
RIGHT = {
    "models": SMALL["model.safetensors"],
    "datasets": [f"{CLASSES[row % 4]} report of train number {row}" for row in range(400)],
}
KINDS = pytest.mark.parametrize("kind", LOADS)


@KINDS
def test_only_the_pinned_commit_is_asked_for(kind: str, place: Place) -> None:
    LOADS[kind]()
    assert place.hub.revisions_asked() == {place.repository(kind).revision}


def test_of_a_model_only_the_files_that_are_loaded_come_and_never_a_pickle(place: Place) -> None:
    folder = find_checkpoint("bert-base-uncased")
    assert {path.name for path in folder.iterdir()} == set(SMALL)
    assert not set(place.hub.files_sent()) & set(NOT_WANTED)


def test_a_data_set_comes_with_its_classes_and_rows_numbered(place: Place) -> None:
    texts = load_texts("ag_news")
    assert texts.features["label"].names == CLASSES
    assert texts[5] == {"id": "6", "text": "Sports report of train number 5", "label": 1}
    assert len(texts) == 400


@KINDS
def test_the_second_time_no_file_comes_again_also_without_a_network(
    kind: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    LOADS[kind]()
    place.hub.asked.clear()
    assert LOADS[kind]() == RIGHT[kind]
    assert place.hub.files_sent() == []
    place.goes_offline(monkeypatch)
    assert LOADS[kind]() == RIGHT[kind]
    assert place.hub.asked == []


def test_a_model_that_is_here_needs_no_hub(place: Place) -> None:
    load_model_files()
    place.hub.asked.clear()
    assert load_model_files() == RIGHT["models"]
    assert place.hub.asked == []


def test_a_file_that_is_missing_in_the_cache_is_fetched_again(place: Place) -> None:
    (find_checkpoint("bert-base-uncased") / "vocab.txt").resolve().unlink()
    assert (find_checkpoint("bert-base-uncased") / "vocab.txt").read_bytes() == SMALL["vocab.txt"]


class Fault(NamedTuple):
    """How a Hub fails for a file of a repository, and the error and words that must come of it."""

    plant: Callable[[Hub, Repository], None]
    error: type[Exception]
    says: str


def move(hub: Hub, repository: Repository) -> None:
    repository.revision = "0" * 40


def alter(hub: Hub, repository: Repository) -> None:
    content = bytearray(repository.files[LARGE[repository.kind]])
    content[len(content) // 2] ^= 1
    hub.altered = {LARGE[repository.kind]: bytes(content)}


def shorten(hub: Hub, repository: Repository) -> None:
    hub.altered = {LARGE[repository.kind]: repository.files[LARGE[repository.kind]][:-9]}


def break_off(hub: Hub, repository: Repository) -> None:
    hub.cut = LARGE[repository.kind]


FAULTS = {
    "moved": Fault(move, MissingError, "it has no revision [0-9a-f]{40} there, or not any more"),
    "gone": Fault(lambda hub, repository: hub.repositories.remove(repository), MissingError, "none of that name"),
    "cut": Fault(break_off, MissingError, "the connection broke off; call again"),
    "other bytes": Fault(alter, DamagedFileError, "sha256"),
    "too short": Fault(shorten, MissingError, "should be of size"),
}


def recover(place: Place, repository: Repository, revision: str) -> None:
    repository.revision, place.hub.cut, place.hub.altered = revision, "", {}
    if repository not in place.hub.repositories:
        place.hub.repositories.append(repository)


@KINDS
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_sentence_and_the_next_call_gets_the_right_bytes(
    kind: str, name: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)  # between its attempts
    fault, repository = FAULTS[name], place.repository(kind)
    revision = repository.revision
    fault.plant(place.hub, repository)
    with pytest.raises(fault.error, match=fault.says) as caught:
        LOADS[kind]()
    said = str(caught.value)
    assert repository.name.split("/")[1] in said
    assert "\n" not in said
    recover(place, repository, revision)
    for path in re.findall(rf"(?i:delete|and) ({re.escape(str(place.home))}\S+?)(?:,| |$)", said):
        shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
    assert LOADS[kind]() == RIGHT[kind]


@KINDS
def test_a_full_disk_is_named_and_how_to_take_another(
    kind: str, place: Place, small_disk: Callable[[int], Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = small_disk(1 << 20)
    take_for_the_hub(place.hub, disk.path, monkeypatch)
    disk.fill(left=24 << 10)
    with pytest.raises(RunError, match=rf"the disk is full, where the cache is {disk.path}; .* HF_HOME"):
        LOADS[kind]()
    disk.free()
    assert LOADS[kind]() == RIGHT[kind]


@KINDS
def test_a_hub_that_does_not_answer_costs_no_minute(
    kind: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_in_a_box() as closed:
        pass
    take_for_the_hub(closed, tmp_path / "home", monkeypatch)
    began = time.perf_counter()
    with pytest.raises(MissingError, match=rf"the Hub at {closed.url} does not answer .*; connect to the network once"):
        LOADS[kind]()
    assert time.perf_counter() - began < 10


@KINDS
def test_offline_what_was_never_loaded_is_missed_in_words(
    kind: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.goes_offline(monkeypatch)
    with pytest.raises(MissingError, match="HF_HUB_OFFLINE is set, and it was not loaded here before"):
        LOADS[kind]()
    assert place.hub.asked == []


def test_offline_another_revision_is_not_taken_for_the_one_that_was_asked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """datasets itself would answer with the one that it has."""
    load_news()
    place.goes_offline(monkeypatch)
    name, revision = AG_NEWS
    with pytest.raises(MissingError, match=rf"loaded here before at revision {revision}, and 1{{40}} is wanted"):
        load_source(f"hub:{name}@{'1' * 40}")
    assert len(load_source(f"hub:{name}@{revision}").dataset) == 400
    assert len(load_source(f"hub:{name}").dataset) == 400


def test_a_branch_is_resolved_to_its_commit_before_anything_is_loaded(place: Place) -> None:
    name, revision = AG_NEWS
    assert len(load_source(f"hub:{name}@main").dataset) == 400
    assert place.hub.revisions_asked() == {"main", revision}
    assert [line for line in place.hub.asked if "/main" in line] == [f"GET /api/datasets/{name}/revision/main"]


def test_without_package_and_network_both_remedies_are_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError) as caught:
        find_checkpoint("bundled")  # which this Hub has not
    assert "sentence-transformers/all-MiniLM-L6-v2 could not be downloaded" in str(caught.value)
    assert 'pip install "bertft-helpers[offline]"' in str(caught.value)
    with pytest.raises(FileNotFoundError) as caught:
        hub_module.download_model(BERT_BASE.hub_name, "1" * 40, ["*.json"])
    assert "offline" not in str(caught.value)


@pytest.mark.slow
def test_a_bert_under_the_published_names_is_loaded_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    published = bert_base()
    monkeypatch.setitem(pretrained.CHECKPOINTS, "bert-base-uncased", checkpoint_of(published))
    place.hub.repositories[:] = [published]
    encoder = load_encoder("bert-base-uncased")
    classifier = build_classifier("bert-base-uncased", ["a", "b"], seed=0)
    assert (encoder.config.num_hidden_layers, encoder.config.num_attention_heads) == (12, 12)
    for name, weight in encoder.named_parameters():
        assert torch.equal(weight, classifier.bert.get_parameter(name)), name
    tokenizer = load_tokenizer("bert-base-uncased")
    assert (len(tokenizer), tokenizer.model_max_length) == (30_522, 512)
