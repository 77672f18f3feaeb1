"""The applications with bert-base-uncased and data sets of the Hub, through a Hub in a box: as far as a CPU can go.

The data sets are stand-ins of the real ones' form (``hub_tasks``). The lessons' cells run in this process and not in
kernels, each of which would import torch and transformers anew. What a lesson checks itself isn't repeated here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub_tasks
import matplotlib.pyplot as plt
import pytest
import torch
from hub import Hub, Repository, hub_in_a_box, take_for_the_hub
from hub_files import bert_base, checkpoint_of
from safetensors.torch import load_file

from bertft_helpers import pretrained
from bertft_helpers.pretrained import BERT_BASE
from bertft_helpers.series.catalogue import plan_parameters, select_lessons
from bertft_helpers.series.notebook import read_notebook, tags

pytestmark = [pytest.mark.slow, pytest.mark.applications]
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SIZES = (120, 60, 60)  # rows of the parts that train, validate and test


@pytest.fixture(scope="module")
def model() -> Repository:
    return bert_base()


@pytest.fixture
def hub(model: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with a tiny bert-base-uncased, to which each test adds the data set that its lesson asks for."""
    monkeypatch.setitem(pretrained.CHECKPOINTS, "bert-base-uncased", checkpoint_of(model))
    with hub_in_a_box(model) as box:
        take_for_the_hub(box, tmp_path / "home", monkeypatch)
        yield box


def run(number: str, **overrides: Any) -> dict[str, Any]:
    """Execute a lesson's cells at the GPU's profile, made as small as the smoke profile; returns the lesson's names."""
    (lesson,) = select_lessons(NOTEBOOKS, [number])
    gpu, smoke = (plan_parameters(NOTEBOOKS, [lesson], profile)[lesson.name] for profile in ("gpu", "smoke"))
    parameters = {**gpu, **smoke, **overrides}
    assert parameters["CHECKPOINT"] == "bert-base-uncased"
    names: dict[str, Any] = {"__name__": "__main__"}
    for place, cell in enumerate(read_notebook(lesson.path).cells):
        if cell.cell_type == "code" and not {"setup", "in-short"} & set(tags(cell)):
            exec(compile(cell.source, f"{number}, cell {place}", "exec"), names)
            if "parameters" in tags(cell):
                names.update(parameters)
    plt.close("all")
    return names


def run_on(hub: Hub, data: Repository, number: str, parameter: str = "DATA", **overrides: Any) -> dict[str, Any]:
    """``run`` with a data set of the Hub's in place of the news; both repositories are read at their one commit."""
    hub.repositories.append(data)
    names = run(number, **{parameter: data.name}, **overrides)
    assert {BERT_BASE.revision, data.revision} <= hub.revisions_asked()
    return names


def test_a1_starts_from_the_trained_head_of_bert_base(hub: Hub) -> None:
    names = run("A1")
    assert hub.revisions_asked() == {BERT_BASE.revision}
    stored = load_file(names["find_checkpoint"]("bert-base-uncased") / "model.safetensors")
    fresh = names["build_masked_model"]("bert-base-uncased", seed=1)
    assert torch.equal(fresh.cls.predictions.transform.dense.weight, stored["cls.predictions.transform.dense.weight"])


def test_a2_reads_conll_from_its_branch_of_parquet_files(hub: Hub) -> None:
    names = run_on(hub, hub_tasks.conll(SIZES[:2]), "A2")
    assert "refs/convert/parquet" in hub.revisions_asked()
    assert names["TAGS"] == hub_tasks.CONLL_TAGS
    assert names["train_words"][1][0] == "U.S."  # the row before it, -DOCSTART-, is kept; the one without words isn't
    cut_further = [n for n, words in enumerate(names["test_words"]) if "U.S." in words]
    assert cut_further
    assert not {*cut_further} & {*names["compared"]}


def test_a2_leaves_out_posts_with_a_word_that_has_no_piece(hub: Hub) -> None:
    names = run_on(hub, hub_tasks.wnut(SIZES[:2]), "A2")
    assert names["TAGS"] == hub_tasks.WNUT_TAGS
    assert not any("\N{VARIATION SELECTOR-16}" in words for words in names["train_words"] + names["test_words"])


@pytest.mark.parametrize(("version", "unanswered"), [pytest.param(1, False, marks=pytest.mark.thorough), (2, True)])
def test_a3_answers_squad_with_and_without_questions_that_have_no_answer(
    hub: Hub, version: int, unanswered: bool
) -> None:
    names = run_on(hub, hub_tasks.squad(version, SIZES[:2]), "A3")
    assert all(len(question.answers) == 3 for question in names["answered"])
    assert (len(names["answered"]) < len(names["test_questions"])) == unanswered


def test_a4_draws_graded_pairs_from_all_sources(hub: Hub) -> None:
    names = run_on(hub, hub_tasks.stsb(SIZES), "A4", "GRADED_DATA")
    for part, count in (("train", 72), ("validation", 60)):  # three for each headline of the news; the part has 60
        grades = [grade for *_, grade in names["graded"][part]]
        assert len(grades) == count
        assert 0.0 in grades
        assert 1.0 in grades


def test_a5_reads_a_sample_of_one_version_and_takes_three_sentences(hub: Hub) -> None:
    names = run_on(hub, hub_tasks.cnn_dailymail(SIZES), "A5", MOST=3, BEGINNING=25)
    folders = {file.split("/")[0] for file in hub.files_sent() if file.endswith(".parquet")}
    assert folders == {"3.0.0"}
    assert len(names["train_pairs"]) == 2 * max(names["N_TRAIN"], names["N_TEST"])
    assert {len(choice) for choice in names["runs"][names["TOLD"]][-1]} == {3}


@pytest.mark.filterwarnings("ignore:Label not")  # some labels are in no text of the few that train
def test_a6_leaves_out_a_label_that_is_too_rare_to_tune(hub: Hub) -> None:
    names = run_on(hub, hub_tasks.go_emotions(SIZES), "A6")
    assert names["LABELS"] == [name for name in hub_tasks.EMOTIONS if name != "grief"]
    assert names["model"].config.num_labels == 27
