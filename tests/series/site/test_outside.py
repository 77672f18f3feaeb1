"""Outside addresses are asked for: a real server that answers some of them, and an address where nobody listens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from conftest import text
from typer.testing import CliRunner

from bertft_helpers.cli.main import app


class Pages(BaseHTTPRequestHandler):
    """One page that is there; all others are gone."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/there" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def lesson_with(folder: Path, *addresses: str) -> Path:
    pytest.importorskip("myst_nb")
    folder.mkdir()
    links = " ".join(f"[a]({address})" for address in addresses)
    lesson = nbformat.v4.new_notebook(cells=[text("# Q5 · ?\n\nColab"), text(f"Read {links}.")])
    lesson.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(lesson, folder / "05_show_texts.ipynb")
    return folder


@pytest.mark.slow
def test_dead_addresses_are_listed_with_their_page_and_the_command_fails(tmp_path: Path, server: str) -> None:
    folder = lesson_with(tmp_path / "notebooks", f"{server}/there", f"{server}/gone")
    done = CliRunner().invoke(app, ["links", "--notebooks", str(folder)])
    assert done.exit_code == 1
    (listed,) = [line for line in done.output.splitlines() if server in line]
    assert listed.startswith("lessons/05_show_texts.ipynb")
    assert f"{server}/gone" in listed
    assert "404" in listed


@pytest.mark.slow
def test_nothing_is_listed_when_every_address_answers(tmp_path: Path, server: str) -> None:
    done = CliRunner().invoke(app, ["links", "--notebooks", str(lesson_with(tmp_path / "n", f"{server}/there"))])
    assert (done.exit_code, done.output.strip()) == (0, "every outside address answers")
