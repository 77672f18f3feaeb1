"""The lessons that load from the Hub, at the GPU's profile, through a Hub in a box: as far as a CPU can go."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Silent
from hub import hub_in_a_box
from hub_files import accept, ag_news, bert_base

from bertft_helpers.data import AG_NEWS
from bertft_helpers.pretrained import BERT_BASE
from bertft_helpers.series.catalogue import plan_parameters, select_lessons
from bertft_helpers.series.execute.runner import run_lessons
from bertft_helpers.series.notebook import read_notebook

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATIENCE = 600  # seconds a cell may take on a busy machine


def printed(path: Path) -> str:
    return "".join(output.get("text", "") for cell in read_notebook(path).cells for output in cell.get("outputs", []))


@pytest.mark.slow
@pytest.mark.exercises
def test_lessons_load_bert_base_and_ag_news_once_at_their_revisions_and_run_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons = select_lessons(NOTEBOOKS, ["04", "07", "19", "24", "30"])
    gpu, smoke = (plan_parameters(NOTEBOOKS, lessons, profile) for profile in ("gpu", "smoke"))
    parameters = {lesson.name: {**gpu[lesson.name], **smoke[lesson.name]} for lesson in lessons}
    assert sum(chosen.get("CHECKPOINT") == "bert-base-uncased" for chosen in parameters.values()) == 4
    model = bert_base()
    with hub_in_a_box(model, ag_news(train=400, test=80)) as hub:
        for name, value in {**hub.environment(tmp_path / "home"), **accept(model, tmp_path / "ipython")}.items():
            monkeypatch.setenv(name, value)
        outcomes = run_lessons(lessons, parameters, tmp_path / "out", Silent(), PATIENCE, jobs=2)
    assert [f"{lost.lesson}, cell {lost.cell}: {lost.error}" for lost in outcomes if not lost.ok] == []
    assert hub.revisions_asked() == {BERT_BASE.revision, AG_NEWS[1]}
    weights = [line for line in hub.asked if line.startswith("GET /cdn/") and line.endswith("model.safetensors")]
    assert len(weights) <= 2  # two lessons side by side may both find an empty cache
    said = {outcome.lesson[:2]: printed(tmp_path / "out" / f"{outcome.lesson}.ipynb") for outcome in outcomes}
    assert "loaded by its name: google-bert/bert-base-uncased" in said["04"]
    assert "from the Hub:\n{'train': 400, 'test': 80}" in said["07"]
