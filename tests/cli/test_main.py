"""The command line: exit codes, messages that list what exists, and nothing slow before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import code, write_lesson

from bertft_helpers.series.catalogue import UnknownName, find_lessons, parse_value, plan_parameters, select_lessons


def bertft(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bertft_helpers", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env=plain_environment())


def plain_environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.mark.parametrize("command", ["run", "store", "check"])
@pytest.mark.parametrize("name", ["07", "no_such", "../notebooks/01_print_rate", "/etc/passwd", "-1"])
def test_an_unknown_lesson_exits_2_and_lists_what_exists(folder: Path, command: str, name: str) -> None:
    done = bertft(command, "--", name, cwd=folder.parent)
    assert done.returncode == 2
    assert f"no lesson {name!r}; there are 01_print_rate, 02_divide_badly" in done.stderr


def test_an_unknown_profile_exits_2_and_lists_what_exists(folder: Path) -> None:
    done = bertft("run", "--profile", "../smoke", cwd=folder.parent)
    assert done.returncode == 2
    assert "no profile '../smoke'; there are cpu, smoke" in done.stderr


def test_an_undeclared_parameter_exits_2_and_lists_what_exists(folder: Path) -> None:
    done = bertft("run", "01", "-p", "EPOCHS=3", cwd=folder.parent)
    assert done.returncode == 2
    assert "-p: no lesson declares 'EPOCHS'; declared are RATE, SMOKE" in done.stderr
    assert not (folder.parent / "build").exists()


def test_a_parameter_of_another_lesson_only_does_not_count(folder: Path) -> None:
    done = bertft("run", "02", "-p", "RATE=0.1", cwd=folder.parent)
    assert done.returncode == 2
    assert "no lesson declares 'RATE'; declared are SMOKE" in done.stderr


def test_no_lesson_at_all_exits_2(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    done = bertft("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "no lesson NN_name.ipynb in" in done.stderr


@pytest.mark.slow
def test_a_run_with_a_failing_lesson_goes_on_marks_it_and_exits_1(folder: Path) -> None:
    done = bertft("run", "--profile", "smoke", "--out", "built", cwd=folder.parent)
    assert done.returncode == 1
    assert "02_divide_badly: cell 3: `1 / 0`: ZeroDivisionError: division by zero" in done.stdout
    assert "1 of 2 lessons ran" in done.stdout
    assert "\x1b" not in done.stdout  # nobody watches: no colours, no moving lines
    progress = [line for line in done.stdout.splitlines() if line.startswith("01_print_rate ")]
    assert len(progress) == 1
    run = json.loads((folder.parent / "built" / "run.json").read_text())
    assert {row["lesson"]: row["status"] for row in run["lessons"]} == {
        "01_print_rate": "ok",
        "02_divide_badly": "failed",
    }
    assert "0.0001 True" in (folder.parent / "built" / "01_print_rate.ipynb").read_text()
    assert (folder.parent / "built" / "index.html").exists()


@pytest.mark.slow
def test_a_run_without_failures_exits_0_with_each_override_given(folder: Path) -> None:
    done = bertft("run", "--fast", "1", "-p", "RATE=2e-5", "-p", "SMOKE=true", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert "2e-05 True" in (folder.parent / "build" / "01_print_rate.ipynb").read_text()


@pytest.mark.slow
def test_store_writes_into_good_lessons_and_leaves_failing_ones_alone(folder: Path) -> None:
    before = (folder / "02_divide_badly.ipynb").read_bytes()
    done = bertft("store", cwd=folder.parent)
    assert done.returncode == 1
    assert (folder / "02_divide_badly.ipynb").read_bytes() == before
    assert "0.001 False" in (folder / "01_print_rate.ipynb").read_text()


@pytest.mark.slow
def test_check_exits_0_for_a_good_lesson_also_when_executed(stored_lesson: Path) -> None:
    done = bertft("check", "06", "--execute", cwd=stored_lesson.parents[1])
    assert done.returncode == 0, done.stdout
    assert "13 passed" in done.stdout


def test_check_answers_programs_in_json(stored_lesson: Path) -> None:
    write_lesson(stored_lesson.with_name("07_count_more.ipynb"), [code("1")])
    done = bertft("check", "7", "--json", cwd=stored_lesson.parents[1])
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert {"lesson": "07_count_more.ipynb", "cell": 1, "text": "was not executed"} in answer["problems"]
    assert answer["outputs_equal"] is None


def test_help_imports_neither_torch_nor_the_notebook_tools() -> None:
    loaded = "import sys, bertft_helpers.cli.main; print({'torch', 'nbformat', 'papermill'} & {*sys.modules} or 'none')"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "none\n"


def test_importing_the_package_takes_at_most_a_tenth_of_a_second_and_no_torch() -> None:
    timed = "import sys, time; s = time.perf_counter(); import bertft_helpers; t = time.perf_counter() - s"
    command = [sys.executable, "-c", f"{timed}; print(t, 'torch' in sys.modules)"]
    answers = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    assert min(float(seconds) for seconds, _ in answers) <= 0.1
    assert {loaded for _, loaded in answers} == {"False"}


def test_help_answers_at_once(tmp_path: Path) -> None:
    start = time.monotonic()
    assert "doctor" in bertft("--help", cwd=tmp_path).stdout
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("true", True),
        ("None", None),
        ("[1, 2]", [1, 2]),
        ("bert-base", "bert-base"),
        ("0", 0),
    ],
)
def test_values_are_read_as_people_type_them(typed: str, value: object) -> None:
    assert parse_value(typed) == value
    assert type(parse_value(typed)) is type(value)


def test_a_rate_that_yaml_reads_as_text_becomes_the_number(folder: Path) -> None:
    plan = plan_parameters(folder, find_lessons(folder), "smoke")
    assert plan == {"01_print_rate": {"SMOKE": True, "RATE": 1e-4}, "02_divide_badly": {"SMOKE": True}}


def test_the_command_line_overrides_the_profile(folder: Path) -> None:
    plan = plan_parameters(folder, select_lessons(folder, ["01"]), "smoke", {"RATE": 1})
    assert plan["01_print_rate"] == {"SMOKE": True, "RATE": 1.0}


def test_a_value_of_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"RATE is 0\.001 in the lesson, so it cannot become 'fast'"):
        plan_parameters(folder, find_lessons(folder), extra={"RATE": "fast"})


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("all:\n  WASTE: 1", "profile odd: no lesson declares 'WASTE'; declared are RATE, SMOKE"),
        ("'02':\n  RATE: 0.1", "profile odd, lesson 02: no lesson declares 'RATE'; declared are SMOKE"),
        ("'09':\n  RATE: 0.1", "'09' is neither 'all' nor a lesson (01, 02, in quotes)"),
        ("1:\n  RATE: 0.1", "1 is neither 'all' nor a lesson (01, 02, in quotes)"),
        ("all: 3", "'all' must hold NAME: value pairs, got 3"),
    ],
)
def test_a_profile_that_overrides_what_does_not_exist_is_refused(folder: Path, profile: str, says: str) -> None:
    (folder / "profiles" / "odd.yaml").write_text(profile)
    with pytest.raises(UnknownName) as refusal:
        plan_parameters(folder, find_lessons(folder), "odd")
    assert says in str(refusal.value)


def test_the_profiles_of_the_series_fit_its_lessons() -> None:
    notebooks = Path(__file__).parents[2] / "notebooks"
    for profile in ("smoke", "gpu"):
        plan_parameters(notebooks, find_lessons(notebooks), profile)
