"""Running lessons in real kernels: good ones, failing ones, dying ones, endless ones, and runs that are interrupted."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from bs4 import BeautifulSoup
from conftest import Silent, code, complete_lesson, store_outputs, text, write_lesson

from bertft_helpers.series.catalogue import Lesson
from bertft_helpers.series.execute.kernels import kernel_environment
from bertft_helpers.series.execute.outcomes import failure, write_run
from bertft_helpers.series.execute.runner import Outcome, run_lessons
from bertft_helpers.series.execute.storing import merge_streams, with_outputs
from bertft_helpers.series.notebook import read_notebook, source_head, write_notebook


def run_one(path: Path, out: Path, parameters: dict | None = None, cell_timeout: int = 60) -> Outcome:
    (outcome,) = run_lessons([Lesson(path)], {path.stem: parameters or {}}, out, Silent(), cell_timeout)
    return outcome


def printed(path: Path) -> str:
    outputs = [output for cell in read_notebook(path).cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.slow
def test_a_failing_lesson_does_not_stop_the_next_and_names_its_cell(folder: Path, tmp_path: Path) -> None:
    observer = Silent()
    lessons = [Lesson(folder / "02_divide_badly.ipynb"), Lesson(folder / "01_print_rate.ipynb")]
    bad, good = run_lessons(lessons, {"01_print_rate": {"RATE": 0.5, "SMOKE": True}}, tmp_path / "out", observer)
    assert (bad.status, bad.cell, bad.source) == ("failed", 3, "1 / 0")
    assert failure(bad) == "cell 3: `1 / 0`: ZeroDivisionError: division by zero"
    assert good.ok
    assert failure(good) == ""
    assert printed(tmp_path / "out" / "01_print_rate.ipynb") == "0.5 True\n"
    kinds = [kind for kind, _ in observer.reports if kind != "reached"]
    assert kinds == ["started", "finished", "started", "finished"]


@pytest.mark.slow
def test_the_position_of_a_failing_cell_ignores_the_injected_parameters(folder: Path, tmp_path: Path) -> None:
    assert run_one(folder / "02_divide_badly.ipynb", tmp_path / "out", {"SMOKE": True}).cell == 3


@pytest.mark.slow
def test_a_dead_kernel_is_reported_as_such_long_before_the_limit(tmp_path: Path) -> None:
    path = write_lesson(
        tmp_path / "01_die.ipynb", [code("print(1)"), code("import os, signal\nos.kill(os.getpid(), 9)")]
    )
    outcome = run_one(path, tmp_path / "out", cell_timeout=60)
    assert (outcome.status, outcome.cell) == ("dead kernel", 2)
    assert outcome.seconds < 30


@pytest.mark.slow
def test_a_cell_over_its_limit_is_reported_with_the_limit(tmp_path: Path) -> None:
    path = write_lesson(tmp_path / "01_sleep.ipynb", [code("import time\ntime.sleep(60)")])
    outcome = run_one(path, tmp_path / "out", cell_timeout=2)
    assert (outcome.status, outcome.cell) == ("timeout", 1)
    assert "longer than 2 s" in outcome.error
    assert outcome.seconds < 30


@pytest.mark.slow
def test_peak_memory_is_that_of_the_kernel_and_its_children(tmp_path: Path) -> None:
    hold = "import subprocess, sys\nhold = 'import time; x = bytearray(300 * 2**20); time.sleep(2)'\n"
    path = write_lesson(tmp_path / "01_hold.ipynb", [code(hold + "subprocess.run([sys.executable, '-c', hold]);")])
    assert 300 < run_one(path, tmp_path / "out").peak_mb < 600


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the highest value")
def test_a_short_peak_of_memory_counts_too(tmp_path: Path) -> None:
    cells = [code("x = b'1' * (300 * 2**20)\ndel x"), code("import time\ntime.sleep(1)")]
    path = write_lesson(tmp_path / "01_peak.ipynb", cells)
    assert 300 < run_one(path, tmp_path / "out").peak_mb < 500


@pytest.mark.slow
def test_lessons_run_side_by_side(tmp_path: Path) -> None:
    # each waits for the other's file: one after the other, the first would run into its limit
    wait = "import os, time\nopen('{}', 'w').close()\nwhile not os.path.exists('{}'):\n    time.sleep(0.05)"
    first = write_lesson(tmp_path / "01_a.ipynb", [code(wait.format("a", "b"))])
    second = write_lesson(tmp_path / "02_b.ipynb", [code(wait.format("b", "a"))])
    outcomes = run_lessons([Lesson(first), Lesson(second)], {}, tmp_path / "out", Silent(), 30, jobs=2)
    assert [outcome.status for outcome in outcomes] == ["ok", "ok"]


@pytest.mark.slow
def test_the_kernel_is_this_python_whatever_is_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered = tmp_path / "elsewhere" / "kernels" / "python3"
    registered.mkdir(parents=True)
    spec = {"argv": ["/no/such/python", "{connection_file}"], "display_name": "x", "language": "python"}
    (registered / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "elsewhere"))
    path = write_lesson(tmp_path / "01_who.ipynb", [code("import sys\nprint(sys.executable)")])
    assert run_one(path, tmp_path / "out").ok
    assert printed(tmp_path / "out" / "01_who.ipynb").strip() == sys.executable


def test_the_kernel_environment_silences_progress_bars_and_keeps_the_users_paths() -> None:
    with kernel_environment() as env:
        assert env["HF_HUB_DISABLE_PROGRESS_BARS"] == env["HF_DATASETS_DISABLE_PROGRESS_BARS"] == "1"
        assert "HF_HUB_OFFLINE" not in set(env) - set(os.environ)
        assert env["PATH"] == os.environ["PATH"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no such settings")
def test_a_kernel_keeps_freed_memory_for_its_next_step() -> None:
    program = """
import resource, numpy
for step in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array = numpy.ones(2**23)  # 64 MB
    del array
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    with kernel_environment() as env:
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    first, *later = map(int, done.stdout.split())
    assert max(later) < first / 10  # by default each of them is like the first


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["run", "--out", "out"], ["check", "--execute"]])
def test_interrupted_work_leaves_no_kernel_behind(tmp_path: Path, sent: signal.Signals, words: list[str]) -> None:
    endless = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(300)"
    write_lesson(tmp_path / "notebooks" / "01_sleep.ipynb", [code(endless)])
    command = [sys.executable, "-m", "bertft_helpers", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal)
    kernel = wait_for_pid(tmp_path / "notebooks" / "pid")
    family = psutil.Process(process.pid).children(recursive=True)
    assert kernel in [member.pid for member in family]
    process.send_signal(sent)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "interrupted" in said
    assert not [member for member in family if member.is_running()]


@pytest.mark.slow
def test_a_killed_run_takes_its_kernel_with_it(tmp_path: Path) -> None:
    endless = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(300)"
    write_lesson(tmp_path / "notebooks" / "01_sleep.ipynb", [code(endless)])
    process = subprocess.Popen([sys.executable, "-m", "bertft_helpers", "run"], cwd=tmp_path)
    kernel = psutil.Process(wait_for_pid(tmp_path / "notebooks" / "pid"))
    process.kill()
    process.wait()
    kernel.wait(timeout=20)  # raises when it is still there


def as_in_a_terminal() -> None:
    """Hear Ctrl-C, also when these tests run in the background, where a shell lets its children ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_pid(path: Path) -> int:
    deadline = time.monotonic() + 40
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, "the kernel did not start"
        time.sleep(0.1)
    return int(path.read_text())


@pytest.mark.slow
def test_storing_twice_writes_the_same_bytes_and_only_what_belongs_in_a_lesson(tmp_path: Path) -> None:
    path = write_lesson(tmp_path / "06_count_words.ipynb", complete_lesson())
    store_outputs(path, tmp_path / "first")
    once = path.read_bytes()
    store_outputs(path, tmp_path / "second")
    assert path.read_bytes() == once
    notebook = read_notebook(path)
    assert set(notebook.metadata) == {"bertft", "kernelspec", "language_info"}
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert "version" not in notebook.metadata.language_info
    assert [cell.id for cell in notebook.cells] == [f"cell-{n:02}" for n in range(1, len(notebook.cells) + 1)]


def test_pieces_of_one_stream_are_joined_but_never_across_another_output() -> None:
    from nbformat.v4 import new_output

    pieces = [new_output("stream", name="stdout", text=part) for part in ("a", "b", "c")]
    pieces.insert(2, new_output("display_data", data={"text/plain": "x"}))
    assert [output.get("text", "-") for output in merge_streams(pieces)] == ["ab", "-", "c"]


def test_outputs_are_not_stored_for_code_changed_during_the_run(tmp_path: Path) -> None:
    path = write_lesson(tmp_path / "01_a.ipynb", [text("# Q1 · ?"), code("print(1)")])
    executed = read_notebook(path)
    executed.cells[1].source = "print(2)"
    with pytest.raises(ValueError, match=r"cell 2 \(cell-02\) was changed during the run"):
        with_outputs(read_notebook(path), executed)


def test_a_write_that_fails_leaves_the_old_notebook(tmp_path: Path) -> None:
    path = write_lesson(tmp_path / "01_a.ipynb", [code("print(1)")])
    before = path.read_bytes()
    broken = read_notebook(path)
    broken.cells[0].source = object()
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_notebook(broken, path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["01_a.ipynb"]


def test_the_head_of_a_cell_is_its_first_line_of_code() -> None:
    assert source_head("# a comment\n\nloss.backward()\nx") == "loss.backward()"
    assert source_head("# only this") == "# only this"
    assert len(source_head("x" * 100)) == 60


def test_a_page_describes_its_figures_and_loads_nothing(tmp_path: Path) -> None:
    figure = nbformat.v4.new_output(
        "display_data", {"image/png": "aGk="}, metadata={"image/png": {"alt": 'a "line" < a curve'}}
    )
    drawing = code("plot()")
    drawing.outputs = [figure]
    write_lesson(tmp_path / "01_a.ipynb", [text("# Q1 · ?"), drawing])
    write_run([Outcome("01_a", "ok", 1.0, 99.0)], {}, tmp_path, "smoke", 1)
    page = (tmp_path / "01_a.html").read_text()
    assert BeautifulSoup(page, "html.parser").img["alt"] == 'a "line" < a curve'
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.https?:", page)
    assert not re.search(r"""(import|url)\(?\s*['"]?https?:""", page)


def test_the_report_escapes_errors_and_links_only_pages_that_exist(tmp_path: Path) -> None:
    write_lesson(tmp_path / "01_a.ipynb", [text("# Q1 · ?"), code("1")])
    good = Outcome("01_a", "ok", 1.234, 99.96)
    bad = Outcome("02_b", "failed", 2.0, 10.0, 3, "x < 1", "ValueError: <b>&")
    write_run([good, bad], {}, tmp_path, "smoke", 1)
    page = (tmp_path / "index.html").read_text()
    assert '<a href="01_a.html">01_a</a>' in page
    assert (tmp_path / "01_a.html").exists()
    assert "cell 3: `x &lt; 1`: ValueError: &lt;b&gt;&amp;" in page
    assert "02_b.html" not in page
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["profile"] == "smoke"
    assert [(row["lesson"], row["seconds"], row["peak_mb"], row["status"]) for row in run["lessons"]] == [
        ("01_a", 1.23, 100.0, "ok"),
        ("02_b", 2.0, 10.0, "failed"),
    ]
    assert run["versions"]["papermill"]
