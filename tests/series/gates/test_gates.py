"""The gates find every damage that a comparison of outputs cannot see, and say which cell it is in."""

from __future__ import annotations

import shutil
from pathlib import Path

import damage
import nbformat
import pytest
from conftest import code, complete_lesson, text, write_lesson

from bertft_helpers.series.catalogue import SERIES
from bertft_helpers.series.gates.check import check_folder, check_lesson
from bertft_helpers.series.stamp import UNSTAMPED, setup_source

HARMS = [
    (damage.strip_output, "has no output but prints"),
    (damage.strip_output_and_count, "was not executed"),
    (damage.swap_cells, "cells moved or run again"),
    (damage.edit_source, "not the code that gave the stored outputs"),
    (damage.remove_alt_text, "has no alt text"),
    (damage.ignore_figure, "figures are always compared"),
    (damage.ignore_without_reason, "not compared: <reason>"),
    (damage.print_text("careful\n", "stderr"), "written to stderr: careful"),
    (damage.add_error_output, "the output is an error: ValueError: planted"),
    (damage.add_widget_view, "is a widget"),
    (damage.add_run_metadata, "metadata holds 'execution'"),
    (damage.print_text("saved to /home/ada/model"), "an absolute path: /home/ada/model"),
    (damage.print_text(r"saved to C:\Users\ada"), r"an absolute path: C:\Users\ada"),
    (damage.print_text("lib/python3.11/site-packages/x"), "an absolute path"),
    (damage.print_text("see https://example.org/x"), "an address: https://example.org/x"),
    (damage.print_text("by ada@example.org"), "an e-mail address: ada@example.org"),
    (damage.print_text("hf_" + "aB3" * 11), "something like a token"),
    (damage.print_every_digit, "shows -0.019220571964979172, whose last digits differ"),
    (damage.print_text("<Model object at 0x7f3a2c1b9d60>"), "a memory address: 0x7f3a2c1b9d60"),
]
REAL_LESSON = next((Path(__file__).parents[3] / "notebooks").glob("04_*.ipynb"))


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in check_lesson(path)]


def test_a_complete_lesson_with_stored_outputs_has_no_problem(stored_lesson: Path) -> None:
    assert problems(stored_lesson) == []


@pytest.mark.parametrize(("harm", "says"), HARMS)
def test_a_damaged_cell_is_named(stored_lesson: Path, harm: damage.Damage, says: str) -> None:
    position = damage.apply(harm, stored_lesson)
    found = [problem for problem in problems(stored_lesson) if says in problem]
    assert found, problems(stored_lesson)
    assert found[0].startswith(f"06_count_words.ipynb cell {position}: ")


@pytest.mark.parametrize(("harm", "says"), HARMS)
def test_the_same_damage_to_a_real_lesson_is_found(tmp_path: Path, harm: damage.Damage, says: str) -> None:
    path = Path(shutil.copy(REAL_LESSON, tmp_path))
    position = damage.apply(harm, path)
    found = [problem for problem in problems(path) if says in problem]
    assert found, problems(path)
    assert found[0].startswith(f"{path.name} cell {position}: ")


def test_widget_state_of_the_notebook_is_a_problem(stored_lesson: Path) -> None:
    damage.apply(damage.add_widget_state, stored_lesson)
    assert problems(stored_lesson) == [
        "06_count_words.ipynb: the notebook's metadata holds 'widgets': store the outputs with bertft store"
    ]


def test_a_removed_last_cell_is_noticed_by_the_digest(stored_lesson: Path) -> None:
    damage.apply(damage.remove_last_code_cell, stored_lesson)
    assert any("cells were moved or removed" in problem for problem in problems(stored_lesson))


@pytest.mark.parametrize(
    "harmless",
    ["and/or/home", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "0x1F", "a/b", "12:30 @ home"],
)
def test_ordinary_output_is_not_taken_for_private(stored_lesson: Path, harmless: str) -> None:
    damage.apply(damage.print_text(harmless), stored_lesson)
    assert problems(stored_lesson) == []


def test_a_file_that_is_no_notebook_is_one_clear_problem(tmp_path: Path) -> None:
    (tmp_path / "05_broken.ipynb").write_text("not json")
    (problem,) = problems(tmp_path / "05_broken.ipynb")
    assert "05_broken.ipynb is not a readable notebook" in problem


def anatomy(tmp_path: Path, change: object) -> list[str]:
    """Problems of a complete lesson, never executed, after ``change`` to its list of cells; only those of anatomy."""
    cells = complete_lesson()
    change(cells)
    path = write_lesson(tmp_path / "06_count_words.ipynb", cells)
    unstored = ("was not executed", "no digest", "has no output")
    return [problem for problem in problems(path) if not any(word in problem for word in unstored)]


def replace(position: int, cell: nbformat.NotebookNode) -> object:
    return lambda cells: cells.__setitem__(position - 1, cell)


# positions of cells in the complete lesson
TITLE, SETUP, IN_SHORT, IMPORTS, PARAMETERS, COUNTING, CHECK, CHECKS, EXERCISE = 1, 2, 4, 5, 6, 8, 12, 14, 16


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replace(TITLE, text("# Q5 · Another number")), "cell 1: must be text that begins with '# Q6 · '"),
        (replace(SETUP, code("import os")), "0 cells are tagged setup"),
        (
            lambda cells: cells.insert(8, cells.pop(PARAMETERS - 1)),
            "is tagged parameters and must be among the first 4 code cells",
        ),
        (
            replace(IMPORTS, code("from bertft_helpers.lessons import *")),
            "cell 5: imports * from bertft_helpers.lessons",
        ),
        (
            replace(PARAMETERS, code("SMOKE = False\nN_WORDS = 12\nWASTE = 1", "parameters")),
            "parameter WASTE, which no",
        ),
        (replace(PARAMETERS, code("N_WORDS = 12", "parameters")), "declares no SMOKE"),
        (
            replace(PARAMETERS, code("SMOKE = False\nN_WORDS = 6 + 6.5j * 2", "parameters")),
            "N_WORDS is not a plain literal",
        ),
        (replace(COUNTING, code("x = 1\n" * 41)), "cell 8: has 41 lines; at most 40"),
        (lambda cells: cells.pop(), "has 12 text cells for 13 code cells"),
        (lambda cells: [cells.pop(9), cells.pop(8)], "has 11 code cells; a lesson has 12 to 35"),
        (lambda cells: cells.extend(code("pass") for _ in range(24)), "has 37 code cells; a lesson has 12 to 35"),
        (replace(TITLE, text("# Q6 · How many words are there?")), "cell 1: must say how long reading takes"),
        (replace(TITLE, text("# Q6 · ?\n\n**Time** about 40 minutes to read")), "cell 1: promises 40 minutes"),
        (replace(TITLE, text("# Q6 · ?\n\n**Time** about 5 minutes to read")), "cell 1: promises 5 minutes of reading"),
        (
            replace(TITLE, text("# Q6 · ?\n\n**Time** about 10 minutes to read" + " and on" * 1_000)),
            "cell 1: promises 10 minutes of reading; its words and cells take 1",
        ),
        (replace(CHECK, text("## Claims")), "has no heading that begins with 'Check'"),
        (replace(CHECK, text("## Takeaways first\n## Check")), "sections must come in the order"),
        (replace(CHECKS, code("pass")), "calls check() 1 times"),
        (
            replace(EXERCISE, code("answer = 1", "solution")),
            "cell 16: is tagged solution and needs one '### BEGIN SOLUTION'",
        ),
        (lambda cells: cells.pop(EXERCISE - 1), "has 1 cells tagged solution"),
        (lambda cells: cells[EXERCISE - 1].metadata.pop("jupyter"), "cell 16: shows a solution to everyone"),
        (replace(COUNTING, code("def broken(:")), "not valid Python"),
        (replace(COUNTING, code("1 / 0", "raises-exception")), "cell 8: is tagged raises-exception"),
        (replace(COUNTING, code("# NBVAL_IGNORE_OUTPUT\nprint(1)")), "cell 8: steers nbval by a comment"),
        (replace(COUNTING, code("print(0.1)", "nbval-atol=0.5")), "at most 0.1 is allowed"),
        (replace(COUNTING, code("print(0.1)", "nbval-atol=much")), "write it like nbval-atol=0.03"),
        (
            replace(CHECKS, code("# not compared: x\ncheck('a', 1)", "nbval-ignore-output")),
            "checks are always compared",
        ),
        # the shape: answer, folded set-up, In short
        (replace(TITLE, text("# Q6 · ?\n\n**Time** about 10 minutes to read")), "cell 1: must answer its question"),
        (lambda cells: cells[SETUP - 1].metadata.pop("jupyter"), "cell 2: shows its set-up code to everyone"),
        (lambda cells: cells[SETUP - 1].metadata.pop("cellView"), "cell 2: shows its set-up code to everyone"),
        (lambda cells: cells.pop(IN_SHORT - 1), "0 cells are tagged in-short; there must be exactly one"),
        (replace(IMPORTS, code("print(1)", "in-short")), "2 cells are tagged in-short"),
        (replace(IN_SHORT - 1, text("## At once")), "cell 4: must be the first code after the set-up cell, under"),
        (
            lambda cells: cells.insert(IN_SHORT, cells.pop(IN_SHORT - 2)),
            "cell 3: must be the first code after the set-up cell, under the heading",
        ),
        (lambda cells: cells.insert(2, code("x = 1")), "cell 5: must be the first code after the set-up cell, under"),
        (replace(IN_SHORT, code("print(1)\n" * 16, "in-short")), "cell 4: has 16 lines; In short has at most 15"),
        (
            replace(IN_SHORT, code("from bertft_helpers import plots\nprint(plots)", "in-short")),
            "cell 4: uses bertft_helpers; In short is written with plain libraries",
        ),
        (replace(IN_SHORT, code("words = 3", "in-short")), "cell 4: shows nothing; In short prints something"),
    ],
)
def test_a_departure_from_the_anatomy_is_named(tmp_path: Path, change: object, says: str) -> None:
    found = anatomy(tmp_path, change)
    assert any(says in problem for problem in found), found


def test_the_complete_lesson_itself_has_the_anatomy(tmp_path: Path) -> None:
    assert anatomy(tmp_path, lambda cells: None) == []


def test_lesson_00_carries_its_number_as_title(tmp_path: Path) -> None:
    cells = [text("# 00 · What is it?"), *complete_lesson()[1:]]
    path = write_lesson(tmp_path / "00_understand_words.ipynb", cells)
    assert not any("must be text" in problem for problem in problems(path))


def test_two_ignored_cells_of_thirteen_are_too_many(tmp_path: Path) -> None:
    ignored = [code("# not compared: seconds\nprint(1)", "nbval-ignore-output") for _ in range(2)]
    found = anatomy(tmp_path, lambda cells: cells.__setitem__(slice(7, 9), ignored))
    assert found == ["06_count_words.ipynb: only 85% of the code cells are compared; at least 90% must be"]


def test_one_ignored_cell_of_thirteen_with_a_reason_is_fine(tmp_path: Path) -> None:
    ignored = code("# not compared: seconds differ\nwords = N_WORDS\nprint(words)", "nbval-ignore-output")
    assert anatomy(tmp_path, replace(COUNTING, ignored)) == []


def linked(path: Path, *targets: str) -> None:
    links = " · ".join(f"[other]({target})" for target in targets)
    setup = code(setup_source(path.name, UNSTAMPED), "setup")
    write_lesson(path, [text(f"# Q · ?\n\nColab: not published yet · {links}"), setup])


FIRST, SECOND, THIRD = (f"{name}.ipynb" for name in SERIES[:3])


def test_neighbours_that_link_to_each_other_have_no_problem(tmp_path: Path) -> None:
    linked(tmp_path / FIRST, SECOND, "https://example.org/01_a.ipynb")
    linked(tmp_path / SECOND, FIRST, THIRD)  # the third is still being written
    assert check_folder(tmp_path) == []


def test_a_glossary_out_of_order_or_with_a_word_twice_is_a_problem(tmp_path: Path) -> None:
    linked(tmp_path / SECOND, FIRST, THIRD)
    page = tmp_path / "GLOSSARY.md"
    page.write_text("# Glossary\n\n- **Adam** (18): a.\n- **[CLS]** (05): b.\n- **draw** (28): c.\n")
    assert check_folder(tmp_path) == []
    page.write_text("- **draw** (28): c.\n- **Adam** (18): a.\n- **adam** (18): again.\n")
    assert [str(problem) for problem in check_folder(tmp_path)] == [
        "GLOSSARY.md: 'Adam' stands after 'draw': sort the words, each once",
        "GLOSSARY.md: 'adam' stands after 'Adam': sort the words, each once",
    ]


def test_wrong_links_numbers_and_setup_are_problems_of_the_series(tmp_path: Path) -> None:
    linked(tmp_path / FIRST, "09_gone.ipynb")
    linked(tmp_path / SECOND, THIRD)
    linked(tmp_path / "01_again.ipynb", FIRST)
    write_lesson(tmp_path / "31_d.ipynb", [text("# Q31 · ?"), code('SOURCE = "not stamped"', "setup")])
    found = "\n".join(str(problem) for problem in check_folder(tmp_path))
    assert f"{FIRST} cell 1: links to 09_gone.ipynb, which is no lesson of the series" in found
    assert f"{FIRST} cell 1: must link to the next lesson, 01_again.ipynb" in found
    assert f"{SECOND} cell 1: must link to the previous lesson, 01_again.ipynb" in found
    assert "01: the number is used by 2 lessons" in found
    assert "31_d.ipynb: is not named NN_verb_topic.ipynb with NN from 00 to 30" in found
    assert "31_d.ipynb: its set-up cell is not the one of this lesson" in found
