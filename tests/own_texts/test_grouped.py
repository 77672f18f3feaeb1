"""``bertft train --group``: what belongs together is in one part, and what cannot be divided so is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from datasets import Dataset
from own_data import WORDS, tiny_checkpoint
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.data import VIEWS, load_texts
from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.grouped import rows_by_group
from bertft_helpers.own_texts.preview import Preview, preview
from bertft_helpers.own_texts.run import train_classifier
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.sources import GROUP, load_source

SHORT = 64  # tokens


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Headline, lead and first words of 150 news stories, each a row: three rows have one source."""
    news = load_texts("news").shuffle(seed=0).select(range(150))
    names = news.features["label"].names
    rows = [
        {"sentence": text, "desk": names[label], "story": f"{names[label]}/{own_id}"}
        for own_id, story, label in zip(news["id"], news["text"], news["label"], strict=True)
        for text in (VIEWS["headline"](story), VIEWS["lead"](story), " ".join(story.split()[-30:]))
    ]
    path = tmp_path_factory.mktemp("stories") / "sentences.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def look(path: Path, **settings: object) -> Preview:
    return preview(TaskSettings(str(path), "sentence", "desk", max_length=SHORT, **settings))


def grouped(path: Path) -> Dataset:
    return load_source(str(path), "sentence", "desk", group_column="story").dataset


def write_rows(path: Path, rows: list[tuple[str, str, object]]) -> Path:
    pd.DataFrame(rows, columns=["sentence", "desk", "story"]).to_csv(path, index=False)
    return path


def made_rows(groups: int, per_group: int = 3) -> list[tuple[str, str, object]]:
    """Different texts of two classes with so many groups each."""
    return [
        (f"{WORDS[kind][n % 6]} {kind} {group} {n}", kind, f"{kind} {group}")
        for kind in ("fruit", "tools")
        for group in range(groups)
        for n in range(per_group)
    ]


def test_no_story_is_in_two_parts_and_every_desk_has_its_share_of_each(stories: Path) -> None:
    prepared = look(stories, group_column="story").prepared
    groups = {name: set(part[GROUP]) for name, part in prepared.parts.items()}
    assert not groups["train"] & groups["validation"]
    assert not (groups["train"] | groups["validation"]) & groups["test"]
    assert sum(map(len, groups.values())) == 150
    for desk in range(5):
        of_desk = [prepared.counts(part)[desk] for part in ("train", "validation", "test")]
        assert of_desk[2] / sum(of_desk) == pytest.approx(0.2, abs=0.07)
        assert of_desk[1] / sum(of_desk) == pytest.approx(0.2, abs=0.07)


def test_without_the_option_most_stories_are_torn_apart(stories: Path) -> None:
    parts = look(stories).prepared.parts
    story_of = dict(pd.read_csv(stories).reset_index()[["index", "story"]].itertuples(index=False))
    of_train, of_test = ({story_of[int(own) - 1] for own in parts[name]["id"]} for name in ("train", "test"))
    assert len(of_train & of_test) > 0.7 * len(of_test)


def test_the_division_follows_from_texts_and_seed(stories: Path) -> None:
    first, again, other = (look(stories, group_column="story", seed=seed).prepared for seed in (0, 0, 1))
    assert first.parts["test"]["id"] == again.parts["test"]["id"]
    assert first.parts["test"]["id"] != other.parts["test"]["id"]
    assert first.digest != look(stories).prepared.digest


def test_a_dry_run_says_how_many_groups_each_part_has(stories: Path) -> None:
    asked = ["train", str(stories), "--text", "sentence", "--label", "desk", "--group", "story", "--dry-run"]
    answered = CliRunner().invoke(app, asked)
    assert answered.exit_code == 0, answered.output
    told = " ".join(answered.output.split())
    groups = Counter(
        name for name, part in look(stories, group_column="story").prepared.parts.items() for _ in set(part[GROUP])
    )
    assert (
        f"No group is in two parts ({groups['train']} to train on, {groups['validation']} to choose the epoch by, "
        f"{groups['test']} to test on)"
    ) in told


def test_a_run_keeps_the_column_and_its_report_and_summary_say_what_it_did(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "made.csv", made_rows(8))
    how = {"text_column": "sentence", "label_column": "desk", "checkpoint": str(tiny_checkpoint(tmp_path / "tiny"))}
    how |= {"epochs": 1, "exact": True, "on_note": lambda line: None}
    results = train_classifier(path, tmp_path / "out", group_column="story", **how)
    assert results["run"]["group_column"] == "story"
    assert json.loads((tmp_path / "out" / "run.json").read_text())["group_column"] == "story"
    for page in ("report.html", "summary.html"):
        assert "No group is in two parts" in (tmp_path / "out" / page).read_text(encoding="utf-8")
    again = train_classifier(path, tmp_path / "out", group_column="story", **how)
    assert again["test"]["accuracy"] == results["test"]["accuracy"]
    with pytest.raises(UserError, match=r"different are group_column \(there 'story', now None\)"):
        train_classifier(path, tmp_path / "out", **how)


def test_three_groups_of_a_class_are_one_for_each_part(tmp_path: Path) -> None:
    dataset = load_source(
        str(write_rows(tmp_path / "made.csv", made_rows(3))), "sentence", "desk", group_column="story"
    )[0]
    for seed in range(5):
        rows = rows_by_group(dataset, seed, validation=0.2, test=0.2)
        assert {name: Counter(dataset[own]["label"]) for name, own in rows.items()} == {
            name: {0: 3, 1: 3} for name in ("train", "validation", "test")
        }


def test_a_group_of_half_the_texts_is_trained_on(tmp_path: Path) -> None:
    rows = [*made_rows(8), *((f"plum {n} of one customer", "fruit", "large") for n in range(48))]
    dataset = grouped(write_rows(tmp_path / "made.csv", rows))
    for seed in range(5):
        parts = rows_by_group(dataset, seed, validation=0.2, test=0.2)
        assert set(range(48, 96)) <= set(parts["train"])


def test_rows_without_a_group_are_groups_of_their_own_and_that_is_said(tmp_path: Path) -> None:
    rows = [(text, desk, None if n % 4 == 0 else story) for n, (text, desk, story) in enumerate(made_rows(8))]
    found = look(write_rows(tmp_path / "made.csv", rows), group_column="story")
    assert (
        "made.csv, column 'story' is empty in 12 rows: each of these counts as a group of its own"
        in found.reading.notes
    )


def test_a_column_in_which_every_row_differs_is_said_to_keep_nothing_together(tmp_path: Path) -> None:
    rows = [(text, desk, n) for n, (text, desk, _) in enumerate(made_rows(8))]
    (note,) = [
        note for note in look(write_rows(tmp_path / "made.csv", rows), group_column="story").notes if "group" in note
    ]
    assert note == "Every text has a group of its own, so --group keeps nothing together: is that the right column?"


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (made_rows(8), {"group_column": "author"}, "no column 'author'; it has sentence, desk, story"),
        (made_rows(8), {"group_column": "desk"}, "group_column is 'desk'; it must be another column than"),
        (made_rows(2), {"group_column": "story"}, r"too few groups of 'fruit' \(2\), 'tools' \(2\)"),
        (
            [(text, desk, desk) for text, desk, _ in made_rows(8)],
            {"group_column": "story"},
            r"too few groups of 'fruit' \(1\), 'tools' \(1\)",
        ),
        ([(text, desk, " ") for text, desk, _ in made_rows(8)], {"group_column": "story"}, "is empty in every row"),
    ],
    ids=["no such column", "the labels", "two groups", "one group a class", "blank"],
)
def test_what_cannot_be_kept_together_is_refused(
    tmp_path: Path, rows: list[tuple[str, str, object]], settings: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        look(write_rows(tmp_path / "made.csv", rows), **settings)


def test_a_class_of_few_groups_can_be_left_out(tmp_path: Path) -> None:
    rows = [*made_rows(8), *((f"swan {n}", "birds", "one") for n in range(12))]
    found = look(write_rows(tmp_path / "made.csv", rows), group_column="story", skip_small_classes=True)
    assert found.prepared.label_names == ["fruit", "tools"]
    assert any("with too few groups: 'birds' (1)" in note for note in found.notes)


def test_folders_and_several_labels_have_no_groups(tmp_path: Path) -> None:
    for kind in WORDS:
        (tmp_path / "texts" / kind).mkdir(parents=True)
        (tmp_path / "texts" / kind / "one.txt").write_text("a text")
    with pytest.raises(UserError, match="texts has no columns, so none called 'story'; --group is for tables"):
        load_source(str(tmp_path / "texts"), group_column="story")
    answered = CliRunner().invoke(app, ["train", "x.csv", "--several-labels", "--group", "story", "--dry-run"])
    assert answered.exit_code == 2
    assert "texts with several labels cannot be kept together by group yet" in " ".join(answered.output.split())
