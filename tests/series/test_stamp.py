"""One command says in all lessons where their package comes from; a lesson that disagrees with the others is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from conftest import code, folded, text, write_lesson
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.series.catalogue import SERIES, find_lessons
from bertft_helpers.series.gates.check import check_folder, check_lesson
from bertft_helpers.series.notebook import cell_digests, is_folded, read_notebook, source_digest
from bertft_helpers.series.published import LINK
from bertft_helpers.series.stamp import (
    UNSTAMPED,
    setup_cell,
    setup_source,
    source_of,
    stamp_lessons,
    stamped_source,
    with_local_links,
)

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
GITHUB = "git+https://github.com/ada/lessons@v1.2"
NAMES = [f"{name}.ipynb" for name in SERIES[:3]]
SETUP = setup_source(NAMES[0], UNSTAMPED)


def series(folder: Path) -> Path:
    """Three short lessons with the real set-up cell, linked to each other."""
    for place, name in enumerate(NAMES):
        links = " · ".join(f"[lesson]({near})" for near in NAMES[max(place - 1, 0) : place + 2])
        setup = folded(code(setup_source(name, UNSTAMPED), "setup"))
        write_lesson(folder / name, [text(f"# Q · ?\n\nColab: not published yet · {links}"), setup, code("x = 1")])
    return folder


def problems(folder: Path) -> list[str]:
    found = [str(problem) for problem in check_folder(folder)]
    return [problem for problem in found if "must link" not in problem]


def change(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("ada/lessons@v1.2", GITHUB),
        ("https://example.org/ada/lessons.git@v1", "git+https://example.org/ada/lessons.git@v1"),
        ("git+file:///srv/lessons@main", "git+file:///srv/lessons@main"),
    ],
)
def test_an_origin_becomes_what_pip_installs_from(origin: str, source: str) -> None:
    assert source_of(origin) == source


@pytest.mark.parametrize(
    "origin",
    [
        "ada/lessons",
        "lessons@v1",
        "https://ada:secret@example.org/x.git@v1",
        "https://e.org/x.git",
        'a/b@v"; import os',
        "../..@x",
        "./b@x",
        "a/b@../../main",
        "a/b@/main",
        "-a/b@v1",
        "a/b@-v1",
        "ssh://-oProxyCommand=id/x@v1",
        "https://-e.org/x@v1",
        "file://host/x@v1",
    ],
)
def test_an_origin_without_tag_with_a_password_or_with_code_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is no source of the package: give OWNER/REPO@TAG"):
        source_of(origin)


def test_a_stamp_reaches_every_lesson_and_can_be_taken_back(tmp_path: Path) -> None:
    before = {name: (series(tmp_path) / name).read_bytes() for name in NAMES}
    assert stamp_lessons(tmp_path, GITHUB) == 3
    for name in NAMES:
        notebook = read_notebook(tmp_path / name)
        assert stamped_source(notebook) == GITHUB
        page = f"github/ada/lessons/blob/v1.2/notebooks/{name}"
        assert f"[Open in Colab](https://colab.research.google.com/{page})" in notebook.cells[0].source
    assert problems(tmp_path) == []
    assert stamp_lessons(tmp_path, GITHUB) == 0
    stamp_lessons(tmp_path, UNSTAMPED)
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == before


def test_links_of_a_stamped_lesson_open_others_in_colab_and_pages_on_github(tmp_path: Path) -> None:
    for pattern in ("*.ipynb", "*.md", "applications/*.ipynb"):
        for path in NOTEBOOKS.glob(pattern):
            (tmp_path / path.relative_to(NOTEBOOKS)).parent.mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / path.relative_to(NOTEBOOKS))
    stamp_lessons(tmp_path, UNSTAMPED)  # in a release they are stamped as they lie here
    before = {lesson.place: read_notebook(lesson.path) for lesson in find_lessons(tmp_path)}
    followed = Counter()
    stamp_lessons(tmp_path, GITHUB)
    for name in before:
        for target in targets(read_notebook(tmp_path / name)):
            host, _, file = target.partition("blob/v1.2/")
            assert not file.endswith(".md") or host == "https://github.com/ada/lessons/", target
            if "ada/lessons" in target:
                assert (NOTEBOOKS.parent / file.partition("#")[0]).exists(), target
                followed[host] += 1
            else:
                assert target.startswith(("https:", "http:", "#")), target
    assert len(followed) == 3, followed  # Colab, Kaggle, pages on GitHub
    for name, lesson in before.items():
        local = targets(with_local_links(read_notebook(tmp_path / name), Path(name).name))
        assert [target for target in local if "ada/lessons" not in target] == targets(lesson), name


def targets(notebook: nbformat.NotebookNode) -> list[str]:
    """Where the links of a lesson's text lead, in their order."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [match["target"] for text in texts for match in LINK.finditer(text) if match["target"]]


def test_a_source_that_colab_cannot_open_gets_no_link(tmp_path: Path) -> None:
    stamp_lessons(series(tmp_path), "git+file:///srv/lessons@main")
    assert "Colab: upload this file" in read_notebook(tmp_path / NAMES[0]).cells[0].source
    assert problems(tmp_path) == []


def test_stored_outputs_of_a_real_lesson_stay_valid(tmp_path: Path) -> None:
    path = Path(shutil.copy(NOTEBOOKS / f"{SERIES[4]}.ipynb", tmp_path))
    stamp_lessons(tmp_path, UNSTAMPED)  # in a release this very stamp may be there
    before = [str(problem) for problem in check_lesson(path)]
    assert stamp_lessons(tmp_path, GITHUB) == 1
    assert [str(problem) for problem in check_lesson(path)] == before


def test_the_set_up_cell_is_no_part_of_what_gave_the_outputs(tmp_path: Path) -> None:
    path = series(tmp_path) / NAMES[1]
    before = read_notebook(path)
    change(path, "import sys", "import sys, os")
    after = read_notebook(path)
    assert (source_digest(after), cell_digests(after)) == (source_digest(before), cell_digests(before))
    assert any("its set-up cell is not the one" in problem for problem in problems(tmp_path))


def test_a_stamp_mends_and_folds_whatever_stands_in_the_set_up_cell(tmp_path: Path) -> None:
    path = series(tmp_path) / NAMES[1]
    notebook = read_notebook(path)
    setup_cell(notebook).source = "import os"
    setup_cell(notebook).metadata.pop("jupyter")
    nbformat.write(notebook, path)
    assert stamp_lessons(tmp_path, UNSTAMPED) == 1
    mended = setup_cell(read_notebook(path))
    assert mended.source == setup_source(NAMES[1], UNSTAMPED)
    assert is_folded(mended)


def test_the_set_up_cell_is_short() -> None:
    assert sum(bool(line) for line in SETUP.splitlines()) <= 11


def test_a_line_like_the_stamp_in_another_cell_counts_as_code() -> None:
    line = 'SOURCE = "{}"  # where the helper package comes from'
    digests = [source_digest(nbformat.v4.new_notebook(cells=[code(line.format(origin))])) for origin in ("a", "b")]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lessons@v1.2", "lessons@v1.1", "run bertft stamp"),
        ("lessons@v1.2", "lessons@v1.1", "is stamped 'git+https://github.com/ada/lessons@v1.1' where the others"),
        ("v1.2/notebooks/02_", "v1.1/notebooks/02_", "its links to other lessons do not lead to the stamped"),
        ("blob/v1.2", "blob/v1.1", "its links to Colab do not belong to the stamped source"),
        ('welcome(\\"01\\")', 'welcome(\\"02\\")', "its set-up cell is not the one of this lesson"),
        ("invalidate_caches()", "pass", "its set-up cell is not the one of this lesson"),
    ],
)
def test_a_lesson_that_disagrees_with_the_others_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    stamp_lessons(series(tmp_path), GITHUB)
    change(tmp_path / NAMES[1], old, new)
    assert any(problem.startswith(NAMES[1]) and says in problem for problem in problems(tmp_path)), problems(tmp_path)


def test_a_lesson_without_a_place_for_the_stamp_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    change(series(tmp_path) / NAMES[2], "Colab: not published yet", "Soon on Colab")
    with pytest.raises(ValueError, match=f"{NAMES[2]} has no set-up cell, or no link to Colab"):
        stamp_lessons(tmp_path, GITHUB)
    assert stamped_source(read_notebook(tmp_path / NAMES[0])) == UNSTAMPED


def test_the_command_stamps_and_refuses_bad_usage(tmp_path: Path) -> None:
    series(tmp_path)
    done = CliRunner().invoke(app, ["stamp", "ada/lessons@v1.2", "--notebooks", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, f"3 lessons changed: {GITHUB}\n")
    assert CliRunner().invoke(app, ["stamp", "--clear", "--notebooks", str(tmp_path)]).exit_code == 0
    for arguments in ([], ["ada/lessons"], ["ada/lessons@v1", "--clear"]):
        assert CliRunner().invoke(app, ["stamp", *arguments, "--notebooks", str(tmp_path)]).exit_code == 2


def test_the_lessons_of_the_series_agree() -> None:
    assert [p for p in problems(NOTEBOOKS) if "set-up" in p or "stamp" in p] == []


def run_setup_cell(source: str, *, installed: bool, **environment: str) -> subprocess.CompletedProcess:
    """The set-up cell in an interpreter of its own, which finds the packages or (isolated from them) does not."""
    flags = [] if installed else ["-S", "-E"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COLAB", "KAGGLE"))}
    return subprocess.run(
        [sys.executable, *flags, "-c", source], env={**env, **environment}, capture_output=True, text=True, cwd="/"
    )


def test_where_the_package_is_installed_the_setup_cell_says_and_does_nothing() -> None:
    blocked = f"import subprocess; subprocess.run = None\n{SETUP}\nimport sys; assert 'torch' not in sys.modules"
    done = run_setup_cell(blocked, installed=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("source", [UNSTAMPED, "git+file:///nowhere/lessons@v1.2"])
def test_where_pip_cannot_install_the_set_up_cell_says_from_where_and_what_to_do(source: str) -> None:
    done = run_setup_cell(setup_source(NAMES[0], source), installed=False)
    assert done.returncode == 1
    assert "error: " in done.stderr.lower().partition("traceback")[0]  # pip's own reason
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: pip could not install {source!r}, see above; is there a network? (README: On Colab)"
    )


def test_on_a_hosted_machine_the_setup_cell_introduces_the_lesson() -> None:
    done = run_setup_cell(SETUP, installed=True, KAGGLE_KERNEL_RUN_TYPE="Interactive")
    assert done.returncode == 0, done.stderr
    assert " · about " in done.stdout
