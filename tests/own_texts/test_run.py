"""A run on texts of one's own: what it prepares, plans, resumes, compares, and refuses."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from minimal import parameters_of
from own_data import labelled_rows, run, settings_for, tiny_checkpoint, write_csv
from transformers import BertForSequenceClassification

from bertft_helpers.batching import Batch
from bertft_helpers.data import build, load_texts, select_view
from bertft_helpers.errors import RunError, UserError
from bertft_helpers.own_texts import baselines
from bertft_helpers.own_texts.folder import take
from bertft_helpers.own_texts.prepared import Prepared, prepare, warnings_about
from bertft_helpers.own_texts.results import judge_fine_tuning
from bertft_helpers.own_texts.settings import TaskSettings, plan
from bertft_helpers.own_texts.sources import at_most, digest_of, load_source, split_by_class, without_small_classes
from bertft_helpers.pretrained import load_encoder, load_tokenizer
from bertft_helpers.studies.defaults import FIRST, IDENTITY, IDENTITY_SCALE, MEAN, POOLER, STANDARD
from bertft_helpers.studies.winning import winning_change

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "texts.csv", labelled_rows())


def prepared_from(tmp_path: Path, rows: list[tuple[str, str]], max_length: int = 64, **how: bool) -> Prepared:
    dataset = load_source(str(write_csv(tmp_path / "made.csv", rows)), "words", "kind").dataset
    return prepare(dataset, load_tokenizer(), max_length, "head+tail", seed=0, **how)


def test_a_run_that_is_interrupted_ends_as_one_that_is_not(tmp_path: Path, data: Path, checkpoint: Path) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, planned: int, texts: int) -> None:
        if done == 5:  # in the second epoch
            raise Killed

    settings = settings_for(data, checkpoint)
    whole = run(settings, tmp_path / "whole")
    with pytest.raises(Killed):
        run(settings, tmp_path / "out", kill)
    said: list[str] = []
    resumed = run(settings, tmp_path / "out", said=said)
    assert any("resumed from state-" in line for line in said)
    first, second = parameters_of(whole.model), parameters_of(resumed.model)
    assert all(torch.equal(first[name], second[name]) for name in first)
    np.testing.assert_array_equal(whole.predictions["test"].logits, resumed.predictions["test"].logits)
    assert whole.results["test"] == resumed.results["test"]


def reading_of(model: BertForSequenceClassification, checkpoint: Path) -> str:
    """What the head reads, told from what the model does and holds; it must have moved little since its start."""
    pooler, example = model.bert.pooler.dense, {"input_ids": torch.tensor([[101, 2000, 2001, 102]])}
    start = load_encoder(str(checkpoint)).pooler.dense.weight
    starts = {POOLER: start, IDENTITY: IDENTITY_SCALE * torch.eye(len(start))}
    model.eval()
    with torch.no_grad():
        nearest = min(starts, key=lambda name: float((pooler.weight - starts[name]).norm()))
        before = model(**example).logits
        pooler.weight.zero_()
        return MEAN if torch.equal(model(**example).logits, before) else nearest


@pytest.mark.slow
def test_a_run_does_what_the_stored_rows_of_the_study_of_defaults_say(
    tmp_path: Path, data: Path, checkpoint: Path
) -> None:
    decided = {**FIRST, **winning_change()}
    record = run(settings_for(data, checkpoint, epochs=1, learning_rate=1e-5), tmp_path / "out")
    assert reading_of(record.model, checkpoint) == decided["reading"]
    assert settings_for(data, checkpoint).class_weights == decided.get("class_weights", False)
    epochs_of_two_steps = plan(TaskSettings("texts.csv"), 25).config.epochs
    assert epochs_of_two_steps == max(STANDARD.epochs, decided["least_steps"] // 2)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory (simulated)"),
            r"^a batch of 8 texts x \d+ tokens does not fit",
        ),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "^a batch of 8 texts x"),
    ],
)
def test_a_batch_that_does_not_fit_is_told_with_the_options_to_lower(
    tmp_path: Path, data: Path, checkpoint: Path, raised: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(model: torch.nn.Module, batch: Batch) -> None:
        raise raised

    monkeypatch.setattr("bertft_helpers.own_texts.training.classification_loss", exhausted)
    with pytest.raises(RunError, match=told) as failed:
        run(settings_for(data, checkpoint), tmp_path / "out")
    assert str(failed.value).endswith("memory. Lower --batch-size or --max-length, and name another --out.")


def test_texts_to_predict_that_do_not_fit_are_told_with_the_options_that_help(
    tmp_path: Path, data: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory (simulated)")

    monkeypatch.setattr("bertft_helpers.training.evaluate", exhausted)
    with pytest.raises(
        RunError, match=r"^a batch of texts that are only predicted, or a baseline, does not fit .* Lower --max-length"
    ):
        run(settings_for(data, checkpoint), tmp_path / "out")


@pytest.mark.filterwarnings("ignore:.*")
def test_a_run_that_diverges_names_texts_of_the_file_and_the_option_to_lower(
    tmp_path: Path, data: Path, checkpoint: Path
) -> None:
    with pytest.raises(RunError, match=r"^step \d+ diverged: .* lower --learning-rate, and name another") as failed:
        run(settings_for(data, checkpoint, learning_rate=1e30), tmp_path / "out")
    number, text = re.search(r"Look at the texts (\d+), .*, the first of which is '(.*?)'", str(failed.value)).groups()
    assert labelled_rows()[int(number) - 1][0] == text


def taken(out: Path, settings: TaskSettings, digest: str) -> None:
    with contextlib.ExitStack() as held:
        take(out, settings, digest, held)


def test_a_folder_with_another_run_is_refused_with_every_difference(tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken(out, TaskSettings("a.csv", seed=1), "1234")
    taken(out, TaskSettings("moved/a.csv", seed=1), "1234")  # the same texts at another place
    with pytest.raises(UserError, match=r"another run; different are max_length \(there 256, now 64\); seed \(there 1"):
        taken(out, TaskSettings("a.csv", seed=2, max_length=64), "1234")
    with pytest.raises(UserError, match=r"different are texts \(there '1234', now '5678'\)"):
        taken(out, TaskSettings("a.csv", seed=1), "5678")


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="holds no run of this command; choose another --out"):
        taken(tmp_path, TaskSettings("a.csv"), "1234")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("train_count", "epochs", "patience"),
    [(25, 15, 20), (300, 15, 3), (1_257, 15, 2), (10_000, 4, 2), (1_000_000, 3, 2)],
)
def test_epochs_and_patience_follow_from_the_number_of_steps(train_count: int, epochs: int, patience: int) -> None:
    planned = plan(TaskSettings("a.csv"), train_count)
    assert (planned.config.epochs, planned.patience) == (epochs, patience)


def test_the_rate_belongs_to_the_checkpoint_unless_it_is_given() -> None:
    rates = [
        plan(settings, 100).learning_rate
        for settings in (
            TaskSettings("a.csv"),
            TaskSettings("a.csv", checkpoint="bert-base-uncased"),
            TaskSettings("a.csv", learning_rate=1e-3),
        )
    ]
    assert rates == [2e-4, 3e-5, 1e-3]


@pytest.mark.parametrize(
    ("texts", "validation", "test", "expected"),
    [(3, 0.4, 0.4, (1, 1, 1)), (4, 0.4, 0.4, (1, 1, 2)), (4, 0.1, 0.7, (1, 1, 2)), (7, 0.4, 0.4, (1, 3, 3))],
)
def test_large_shares_leave_every_class_a_text_in_each_part(
    texts: int, validation: float, test: float, expected: tuple[int, int, int], tmp_path: Path
) -> None:
    data = write_csv(tmp_path / "a.csv", [(f"text {n} of {name}", name) for name in "xy" for n in range(texts)])
    parts = split_by_class(load_source(str(data), "words", "kind").dataset, 0, validation, test)
    for label in (0, 1):
        assert tuple(list(parts[part]["label"]).count(label) for part in ("train", "validation", "test")) == expected


@pytest.mark.parametrize(("classes", "per_class"), [(2, 3), (2, 50), (200, 3), (200, 4)])
def test_every_class_is_in_every_part_and_no_row_twice(tmp_path: Path, classes: int, per_class: int) -> None:
    rows = [(f"text {label} {n}", f"class {label}") for label in range(classes) for n in range(per_class)]
    dataset = load_source(str(write_csv(tmp_path / "many.csv", rows)), "words", "kind").dataset
    parts = split_by_class(dataset, seed=3)
    assert all(set(part["label"]) == set(range(classes)) for part in parts.values())
    ids = [number for part in parts.values() for number in part["id"]]
    assert sorted(ids) == sorted(dataset["id"])
    assert parts["test"]["id"] == split_by_class(dataset, seed=3)["test"]["id"]
    assert parts["test"]["id"] != split_by_class(dataset, seed=4)["test"]["id"]


def test_a_rare_class_keeps_its_share_beside_a_large_one(tmp_path: Path) -> None:
    rows = [(f"large {n}", "large") for n in range(100)] + [(f"rare {n}", "rare") for n in range(10)]
    parts = split_by_class(load_source(str(write_csv(tmp_path / "a.csv", rows)), "words", "kind").dataset, seed=0)
    assert {name: Counter(part["label"]) for name, part in parts.items()} == {
        "train": {0: 60, 1: 6},
        "validation": {0: 20, 1: 2},
        "test": {0: 20, 1: 2},
    }


def test_a_class_of_two_texts_is_refused_by_name_and_number(tmp_path: Path) -> None:
    rows = [*labelled_rows(), ("one fish", "fish"), ("two fish", "fish"), ("two  fish", "fish")]  # one is a repetition
    with pytest.raises(ValueError, match=r"too few different texts of 'fish' \(2\): each class needs at least 3"):
        prepared_from(tmp_path, rows)


def test_small_classes_are_left_out_when_asked_and_said_with_what_that_means(tmp_path: Path) -> None:
    rows = [*labelled_rows(4), ("only one of its kind", "rare"), ("a pair of them", "few"), ("and the other", "few")]
    prepared = prepared_from(tmp_path, rows, skip_small_classes=True)
    assert prepared.left_out == {"few": 2, "rare": 1}
    assert prepared.label_names == ["birds", "fruit", "tools"]
    assert sorted(prepared.removed["reason"]) == ["small class"] * 3
    assert sum(len(part) for part in prepared.parts.values()) == len(rows) - 3
    (note,) = [note for note in warnings_about(prepared, 64, "head", False) if "Left out" in note]
    assert "'few' (2), 'rare' (1)" in note
    assert "a text of one gets the label of another" in note


def test_where_no_two_classes_are_large_enough_leaving_out_does_not_help(tmp_path: Path) -> None:
    rows = [("one", "a"), ("two", "b"), ("three", "b")]
    with pytest.raises(UserError, match="at least two classes are needed"):
        prepared_from(tmp_path, rows, skip_small_classes=True)


def test_a_folder_of_one_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    for n in range(5):
        (tmp_path / "only" / f"{n}.txt").write_text(f"text {n}")
    with pytest.raises(ValueError, match="all texts are labelled 'only'; at least two classes are needed"):
        split_by_class(load_source(str(tmp_path)).dataset, seed=0)


def test_empty_repeated_and_contradicting_rows_are_counted(tmp_path: Path) -> None:
    rows = [*labelled_rows(), ("", "fruit"), ("   ", "tools"), labelled_rows()[0], ("odd", "fruit"), ("odd", "birds")]
    prepared = prepared_from(tmp_path, rows)
    assert dict(Counter(prepared.removed["reason"])) == {"empty": 2, "repeated": 1, "two labels": 2}
    assert sum(len(part) for part in prepared.parts.values()) == 36


def test_another_script_is_noticed_by_its_unknown_pieces(tmp_path: Path) -> None:
    rows = [(f"🦄 🦒 {n} {label}", label) for label in ("a", "b") for n in range(5)]
    prepared = prepared_from(tmp_path, rows)
    assert prepared.unknown_share == pytest.approx(0.5)  # two of four pieces
    assert "50.0% of the word pieces are [UNK]" in warnings_about(prepared, 64, "head", False)[0]


def test_another_language_is_noticed_by_its_broken_words(tmp_path: Path) -> None:
    words = "Bundesverfassungsgericht Geschwindigkeitsbegrenzung Rechtsschutzversicherung"
    prepared = prepared_from(tmp_path, [(f"{words} {n}", label) for n, label in enumerate("ab" * 6)])
    assert prepared.unknown_share == 0
    assert "breaks a word into" in warnings_about(prepared, 64, "head", False)[0]


def test_plain_english_of_even_classes_gets_no_note_but_on_its_size(tmp_path: Path) -> None:
    notes = warnings_about(prepared_from(tmp_path, labelled_rows(30)), 64, "head", False)
    assert len(notes) == 1
    assert "The test part has only 18 texts" in notes[0]


def test_long_texts_and_uneven_classes_are_told(tmp_path: Path) -> None:
    rows = [(f"word {n} " * 20, "large") for n in range(30)] + [(f"rare {n}", "rare") for n in range(5)]
    prepared = prepared_from(tmp_path, rows, max_length=16)
    told = " ".join(warnings_about(prepared, 16, "head+tail", False))
    assert "86% of the texts are longer than 16 tokens and were cut: the first quarter" in told
    assert "18 training texts in the largest, 3 in the smallest" in told
    assert "try --class-weights" in told
    assert max(prepared.examples["train"].lengths) == 16


def test_a_file_or_folder_goes_before_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for label in ("a", "b"):
        (tmp_path / "owner" / "name" / label).mkdir(parents=True)
        (tmp_path / "owner" / "name" / label / "1.txt").write_text(f"text {label}")
    assert load_source("owner/name").dataset["text"][:] == ["text a", "text b"]
    with pytest.raises(FileNotFoundError, match=r"no data at 'owner/missing.csv'"):
        load_source("owner/missing.csv")


def test_a_hub_name_without_network_says_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", offline)
    with pytest.raises(
        FileNotFoundError, match=r"'someone/texts', and the Hub's .* could not be loaded: .* \(no route\)"
    ):
        load_source("someone/texts@main")


def test_the_digest_tells_texts_and_labels_apart(tmp_path: Path) -> None:
    variants = [
        [("ab", "x"), ("c", "y")],
        [("a", "x"), ("bc", "y")],
        [("ab", "y"), ("c", "x")],
        [("c", "y"), ("ab", "x")],
    ]
    digests = {
        digest_of(load_source(str(write_csv(tmp_path / "d.csv", rows)), "words", "kind").dataset) for rows in variants
    }
    assert len(digests) == 4


def test_counted_words_learn_what_words_tell_and_the_largest_class_is_the_largest() -> None:
    rows = labelled_rows()
    texts = {part: [text for text, _ in rows] for part in ("train", "validation", "test")}
    labels = {part: [["fruit", "tools", "birds"].index(label) for _, label in rows] for part in texts}
    assert (baselines.counted_words(texts, labels).predictions == labels["test"]).mean() == 1.0
    assert baselines.majority([0, 2, 2], 2).predictions.tolist() == [2, 2]


def test_texts_without_words_are_counted_by_their_signs() -> None:
    texts = {part: ["a", "b", "a !", "b ?"] * 3 for part in ("train", "validation", "test")}
    labels = {part: [0, 1, 0, 1] * 3 for part in texts}
    assert (baselines.counted_words(texts, labels).predictions == labels["test"]).all()


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        ("better", "Fine-tuning beat every baseline; the best of them is counted words"),
        ("worse", "Fine-tuning did NOT pay: the baseline counted words did better"),
        ("no clear difference", "did not clearly differ from the baseline counted words"),
    ],
)
def test_the_verdict_is_about_the_best_baseline(outcome: str, says: str) -> None:
    rows = [
        {"name": "largest class", "accuracy": 0.2, "model_is": "better", "p": 1e-9},
        {"name": "counted words", "accuracy": 0.7, "model_is": outcome, "p": 0.03},
    ]
    assert says in judge_fine_tuning(0.6, rows, "fine-tuned")


def test_a_verdict_against_fine_tuning_says_how_to_get_what_does_better() -> None:
    row = {"name": "counted words", "accuracy": 0.7, "model_is": "worse", "p": 0.03}
    advice = {saved: judge_fine_tuning(0.6, [row], saved) for saved in ("counted words", "fine-tuned")}
    assert advice["counted words"].endswith("did better (accuracy 0.600 against 0.700, p = 0.03).")
    assert advice["fine-tuned"].endswith("bertft train with --keep counted-words and another --out saves it.")
    majority = {**row, "name": "largest class"}
    assert judge_fine_tuning(0.6, [majority], "fine-tuned").endswith("look at their labels and their number.")


@pytest.mark.slow
def test_the_bundled_checkpoint_learns_the_news_and_is_not_worse_than_its_baselines(tmp_path: Path) -> None:
    stories = select_view(load_texts("news"), "headline")
    names = stories.features["label"].names
    rows = [(text, names[label]) for text, label in zip(stories["text"], stories["label"], strict=True)][::5]
    data = write_csv(tmp_path / "news.csv", rows)
    record = run(settings_for(data, Path("bundled"), learning_rate=None, epochs=4, batch_size=16), tmp_path / "out")
    assert record.results["run"]["learning_rate"] == 2e-4
    assert record.results["test"]["accuracy"] > 0.7
    assert {row["model_is"] for row in record.results["baselines"]} <= {"better", "no clear difference"}
    assert record.results["baselines"][0]["model_is"] == "better"


def test_the_script_in_the_readme_trains_scores_and_labels(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(from bertft_helpers\.own_texts\.run .*?)```", readme, flags=re.DOTALL)
    assert len(script.splitlines()) <= 25
    monkeypatch.chdir(tmp_path)
    for name in ("texts.csv", "more-labelled-texts.csv", "new-texts.csv"):
        write_csv(tmp_path / name, labelled_rows(), columns=("story", "desk"))
    quick = f'label_column="desk", checkpoint={str(checkpoint)!r}, epochs=1'
    exec(script.replace('label_column="desk"', quick), {})
    assert "36 rows labelled" in capsys.readouterr().out
    assert len((tmp_path / "predicted.csv").read_text().splitlines()) == 37


def dataset_of(counts: dict[str, int]) -> Dataset:
    rows = [(f"{label} {n}", label) for label, count in counts.items() for n in range(count)]
    return build([str(n) for n in range(len(rows))], [text for text, _ in rows], [label for _, label in rows])


def test_small_classes_go_and_the_others_keep_their_names() -> None:
    kept, left_out = without_small_classes(dataset_of({"a": 5, "b": 4, "c": 6}), fewest=5)
    assert (left_out, kept.features["label"].names) == (["b"], ["a", "c"])
    assert [
        kept.features["label"].names[label] == text[0] for text, label in zip(kept["text"], kept["label"], strict=True)
    ] == [True] * 11


def test_a_column_in_which_every_row_is_different_is_no_column_of_labels() -> None:
    with pytest.raises(UserError, match=r"only 0 classes have 5 different texts: is that the right column of labels\?"):
        without_small_classes(dataset_of({"a": 1, "b": 1, "c": 1}), fewest=5)


def test_a_part_made_smaller_keeps_every_class() -> None:
    part = dataset_of({"many": 50, "rare": 1})
    chosen = at_most(part, 5, seed=0)
    assert len(chosen) == 5
    assert set(chosen["label"]) == {0, 1}
    assert at_most(part, 5, seed=0)["text"] == chosen["text"]
    assert at_most(part, None, seed=0) is part
