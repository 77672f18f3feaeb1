"""A Hub in a box: a server on this machine that answers huggingface_hub and datasets as the Hub does.

It keeps a list of what it was asked, and can be told to fail: to break off, or to send other bytes than it has named.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import datasets
import pytest
from huggingface_hub import constants

_API = re.compile(
    r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)(?:/(?P<what>[\w-]+)/(?P<revision>[^/]+)(?:/(?P<folder>.+))?)?"
)
_FILE = re.compile(r"/(?P<kind>datasets/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_LARGE = (".safetensors", ".bin", ".parquet")  # kept in Git LFS, so served from another address


@dataclass
class Repository:
    """A model or data set at its one revision, a full commit, to which one branch points."""

    kind: str  # "models" or "datasets"
    name: str
    revision: str
    files: dict[str, bytes]
    branch: str = "main"

    def entries(self) -> list[dict[str, Any]]:
        """The files as the Hub's listings name them."""
        return [_entry(path, content) for path, content in sorted(self.files.items())]


@dataclass
class Hub:
    """The server's address, what it has, what it was asked, and how it fails."""

    url: str
    repositories: list[Repository] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # "GET /path", in the order of arrival
    cut: str = ""  # the file with this name ends half way, each time
    altered: dict[str, bytes] = field(default_factory=dict)  # sent in place of the file that was announced

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Environment variables of a process that takes this for the Hub and ``home`` for its cache."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", **more}

    def files_sent(self) -> list[str]:
        """The names of the files that were asked for, each once."""
        matches = [_FILE.fullmatch(line.removeprefix("GET ")) for line in self.asked]
        return sorted({match["file"] for match in matches if match})

    def revisions_asked(self) -> set[str]:
        """Every revision that occurs in a request."""
        matches = [pattern.fullmatch(line.split(" ")[1]) for line in self.asked for pattern in (_API, _FILE)]
        return {unquote(match["revision"]) for match in matches if match and match["revision"]}


def take_for_the_hub(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch, offline: bool = False) -> None:
    """What ``Hub.environment`` does for other processes, for this one, whose libraries have read the environment."""
    for module, name, value in (
        (constants, "ENDPOINT", hub.url),
        (constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"),
        (constants, "HF_HOME", str(home)),
        (constants, "HF_HUB_CACHE", str(home / "hub")),
        (constants, "HF_HUB_OFFLINE", offline),
        (datasets.config, "HF_ENDPOINT", hub.url),
        (datasets.config, "HF_DATASETS_CACHE", home / "datasets"),
        (datasets.config, "HF_HUB_OFFLINE", offline),
    ):
        monkeypatch.setattr(module, name, value)


@contextmanager
def hub_in_a_box(*repositories: Repository) -> Iterator[Hub]:
    """Serve ``repositories`` on a free port of this machine while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.daemon_threads = True
    server.hub = Hub(f"http://127.0.0.1:{server.server_port}", list(repositories))  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Refused(Exception):
    """An answer other than 200, with the code word by which the Hub's client knows it."""

    def __init__(self, status: HTTPStatus, code: str) -> None:
        self.status, self.code = status, code


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.hub.asked.append(f"{self.command} {path}")
        try:
            if path.startswith("/cdn/"):
                self._send_file(*path.removeprefix("/cdn/").split("/", 1))
            elif found := _FILE.fullmatch(path):
                self._resolve(found)
            elif found := _API.fullmatch(path):
                self._describe(found)
            else:
                raise _Refused(HTTPStatus.NOT_FOUND, "EntryNotFound")
        except _Refused as refused:
            self._answer(b"", refused.status, {"X-Error-Code": refused.code})

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing goes to the test's output."""

    def _repository(self, kind: str, name: str, revision: str | None) -> Repository:
        named = [found for found in self.hub.repositories if (found.kind, found.name) == (kind, name)]
        if not named:  # the Hub answers so because it may be private
            raise _Refused(HTTPStatus.UNAUTHORIZED, "RepoNotFound")
        if revision is not None and unquote(revision) not in (named[0].branch, named[0].revision):
            raise _Refused(HTTPStatus.NOT_FOUND, "RevisionNotFound")
        return named[0]

    def _describe(self, found: re.Match[str]) -> None:
        """What a repository is (no ``what``, or ``revision``), its files (``tree``), some of them (``paths-info``)."""
        asked_for = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        repository = self._repository(found["kind"], found["name"], found["revision"])
        answer: Any = repository.entries()
        if found["what"] == "tree":
            recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
            answer = _listing(answer, unquote(found["folder"] or ""), recursive)
        elif found["what"] == "paths-info":
            paths = _paths(asked_for)
            answer = [entry for entry in answer if entry["path"] in paths]
        elif found["what"] in (None, "revision"):
            siblings = [{"rfilename": entry["path"], "lfs": _lfs(entry)} for entry in answer]
            answer = {"id": repository.name, "sha": repository.revision, "siblings": siblings, "tags": []}
            answer |= {"private": False, "gated": False, "disabled": False, "downloads": 1, "likes": 1}
        self._answer(json.dumps(answer).encode(), headers={"Content-Type": "application/json"})

    def _resolve(self, found: re.Match[str]) -> None:
        """A small file itself; for a large one where it lies, with its size and hash."""
        kind, file = "datasets" if found["kind"] else "models", unquote(found["file"])
        repository = self._repository(kind, found["name"], found["revision"])
        if file not in repository.files:
            raise _Refused(HTTPStatus.NOT_FOUND, "EntryNotFound")
        entry = _entry(file, repository.files[file])
        headers = {"X-Repo-Commit": repository.revision, "ETag": f'"{entry["oid"]}"'}
        if "lfs" not in entry:
            self._send(file, repository.files[file], headers)
            return
        digest = entry["lfs"]["oid"]
        headers |= {"X-Linked-Size": str(entry["size"]), "X-Linked-ETag": f'"{digest}"'}
        elsewhere = f"http://localhost:{self.server.server_port}/cdn/{digest}/{file}"  # another host, as the Hub's is
        self._answer(b"", HTTPStatus.FOUND, {**headers, "Location": elsewhere})

    def _send_file(self, digest: str, file: str) -> None:
        contents = [repository.files.get(file, b"") for repository in self.hub.repositories]
        self._send(file, next(content for content in contents if hashlib.sha256(content).hexdigest() == digest), {})

    def _send(self, file: str, content: bytes, headers: dict[str, str]) -> None:
        content = self.hub.altered.get(file, content)
        begin, end = _asked_range(self.headers.get("Range", ""), len(content))
        status = HTTPStatus.PARTIAL_CONTENT if "Range" in self.headers else HTTPStatus.OK
        if (begin, end) != (0, len(content)):
            headers |= {"Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"}
        self._answer(
            content[begin:end],
            status,
            headers,
            stop=max(0, len(content) // 2 - begin) if file == self.hub.cut else None,
        )

    def _answer(
        self,
        content: bytes,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] = _NO_HEADERS,
        stop: int | None = None,
    ) -> None:
        """Send headers and content; with ``stop`` only so many bytes of it, and then nothing more."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content)), "Accept-Ranges": "bytes"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if stop is None else content[:stop])
        if stop is not None:
            self.close_connection = True


def _entry(path: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # as git names a file
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": digest}
    if path.endswith(_LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


def _asked_range(header: str, size: int) -> tuple[int, int]:
    """The first byte that a Range header asks for and the one after the last; of no header, the whole file."""
    first, _, last = header.removeprefix("bytes=").partition("-")
    return int(first or 0), min(int(last) + 1, size) if last else size


def _lfs(entry: dict[str, Any]) -> dict[str, Any] | None:
    """How the description of a repository names a large file."""
    return {"sha256": entry["lfs"]["oid"], "size": entry["size"], "pointerSize": 134} if "lfs" in entry else None


def _listing(entries: list[dict[str, Any]], folder: str, recursive: bool) -> list[dict[str, Any]]:
    """What is in ``folder``, with its sub-folders; and what is in these."""
    start = f"{folder}/" if folder else ""
    below = [entry for entry in entries if entry["path"].startswith(start)]
    if not below:
        raise _Refused(HTTPStatus.NOT_FOUND, "EntryNotFound")
    rest = [PurePosixPath(entry["path"].removeprefix(start)) for entry in below]
    above = {start + str(folder) for path in rest for folder in path.parents if folder.name}
    folders = sorted(path for path in above if recursive or "/" not in path.removeprefix(start))
    files = [entry for entry in below if recursive or "/" not in entry["path"].removeprefix(start)]
    return [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in folders] + files


def _paths(form: bytes) -> list[str]:
    """The paths that were asked for, sent as a form or as JSON."""
    if form.startswith(b"{"):
        return json.loads(form)["paths"]
    return parse_qs(form.decode()).get("paths", [])
