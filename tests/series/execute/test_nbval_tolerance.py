"""The comparison with a fresh run fails on every changed output, and only tolerates decimals within their tolerance."""

from __future__ import annotations

import shutil
from pathlib import Path

import damage
import pytest
from conftest import code, write_lesson

from bertft_helpers.series.catalogue import Lesson
from bertft_helpers.series.execute.comparison import compare_outputs
from bertft_helpers.series.execute.nbval_tolerance import count_figures, snap, tolerance_of


@pytest.mark.parametrize(
    ("new", "stored", "result"),
    [
        ("loss 0.52", "loss 0.50", "loss 0.50"),
        ("loss 0.53", "loss 0.50", "loss 0.50"),  # 0.03 apart, although not so in binary
        ("loss 0.54", "loss 0.50", "loss 0.54"),
        ("0.9499 and 0.9500", "0.9500 and 0.9499", "0.9500 and 0.9499"),
        ("3 of 0.52", "4 of 0.50", "3 of 0.50"),  # whole numbers stay, so the comparison still fails
        ("-0.01", "0.01", "0.01"),
        ("1e-05", "2e-05", "2e-05"),
        ("0.5", "0.5 0.5", "0.5"),  # another count of decimals: nothing is touched
        ("torch 2.13.0", "torch 2.12.0", "torch 2.13.0"),  # a version is not a decimal
        ("x0.52", "x0.50", "x0.52"),
        ("12.", "12.01", "12.01"),
    ],
)
def test_only_decimals_within_the_tolerance_become_the_stored_ones(new: str, stored: str, result: str) -> None:
    assert snap(new, stored, 0.03) == result


def test_nan_is_text_and_never_within_a_tolerance() -> None:
    assert snap("loss nan", "loss 0.5", 0.03) == "loss nan"


def test_a_cell_without_the_tag_has_no_tolerance() -> None:
    assert tolerance_of(code("1", "nbval-atol=0.02")) == 0.02
    assert tolerance_of(code("1", "parameters")) == 0.0


def test_figures_are_counted_by_kind() -> None:
    outputs = [{"data": {"image/png": "x", "text/plain": "Figure"}}, {"data": {"image/png": "y"}}, {"text": "z"}]
    assert count_figures(outputs) == {"image/png": 2}


def compared(path: Path, capfd: pytest.CaptureFixture[str], cell_timeout: int = 60) -> tuple[bool, str]:
    equal = compare_outputs([Lesson(path)], cell_timeout=cell_timeout)
    return equal, capfd.readouterr().out


@pytest.mark.slow
def test_an_undamaged_lesson_is_equal_to_its_fresh_run(stored_lesson: Path, capfd: pytest.CaptureFixture[str]) -> None:
    equal, said = compared(stored_lesson, capfd)
    assert equal, said
    assert "13 passed" in said  # every code cell of the complete lesson, none skipped


@pytest.mark.slow
def test_a_decimal_within_its_tolerance_passes(stored_lesson: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damage.apply(damage.shift_decimal(0.02), stored_lesson)
    assert compared(stored_lesson, capfd)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm",
    [
        damage.change_digit,
        damage.shift_decimal(0.04),
        damage.change_whole_number_in_tolerant_cell,
        damage.strip_output,
        damage.remove_figure,
        damage.print_text("one line more"),
        damage.print_text("a warning", "stderr"),
    ],
)
def test_a_damaged_output_fails_and_its_cell_is_named(
    stored_lesson: Path, capfd: pytest.CaptureFixture[str], harm: damage.Damage
) -> None:
    position = damage.apply(harm, stored_lesson)
    equal, said = compared(stored_lesson, capfd)
    assert not equal
    assert f"06_count_words.ipynb::cell {position}" in said
    assert "1 failed" in said


@pytest.mark.slow
def test_a_cell_over_its_limit_fails_the_comparison(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slow = code("import time\ntime.sleep(60)")
    slow.execution_count = 1
    path = write_lesson(tmp_path / "01_sleep.ipynb", [slow])
    equal, said = compared(path, capfd, cell_timeout=2)
    assert not equal
    assert "Timeout of 2 seconds exceeded" in said


@pytest.mark.slow
def test_one_changed_digit_in_a_real_lesson_fails_its_comparison(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lesson = next((Path(__file__).parents[3] / "notebooks").glob("04_*.ipynb"))
    path = Path(shutil.copy(lesson, tmp_path))
    position = damage.apply(damage.change_digit, path)
    equal, said = compared(path, capfd, cell_timeout=240)
    assert not equal
    assert f"{path.name}::cell {position}" in said
    assert "1 failed" in said
