"""``bertft serve`` as its users meet it: a real server on loopback, asked by programs, strangers and a browser."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from browser import open_browser
from fastapi.testclient import TestClient
from own_data import tiny_checkpoint

from bertft_helpers.inference import TextClassifier
from bertft_helpers.models import build_classifier
from bertft_helpers.own_texts.trained import open_trained
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.serving.app import build_app
from bertft_helpers.serving.limits import Limits, Rate

NAMES = ["<b>news</b>", "sports"]
RATE = 500


class Served(NamedTuple):
    """A running service, its process, and the same classifier here."""

    port: int
    process: subprocess.Popen
    classifier: TextClassifier

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def error(self, body: Any, path: str = "/predict", **headers: str) -> tuple[int, str]:
        status, _, answer = self.ask("POST", path, body, **headers)
        return status, json.loads(answer)["error"]


def started(model: Path, *options: str) -> tuple[subprocess.Popen, int]:
    """The command on a free port, once it says that it answers."""
    words = [sys.executable, "-m", "bertft_helpers", "serve", str(model), "--port", "0", *options]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://\S+:(\d+) answers; Ctrl-C stops it", line):
            return process, int(found[1])
    raise AssertionError(f"the service ended with {process.wait()}")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    checkpoint = str(tiny_checkpoint(folder / "checkpoint"))
    TextClassifier(build_classifier(checkpoint, NAMES, 0), load_tokenizer(checkpoint)).save(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[Served]:
    process, port = started(model, "--rate", str(RATE), "--max-texts", "8")
    yield Served(port, process, TextClassifier.load(model))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0


@pytest.mark.slow
def test_answers_are_those_of_the_library(served: Served) -> None:
    texts = ["Record profit for the bank", "Final won in extra time", "AT&amp;T falls"]
    status, headers, body = served.ask("POST", "/predict", {"texts": texts})
    assert (status, headers["content-type"]) == (200, "application/json")
    for told, expected in zip(json.loads(body)["predictions"], served.classifier.predict(texts), strict=True):
        assert told["label"] == expected.label
        assert told["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_words_are_told_where_the_service_explains(model: Path) -> None:
    texts = ["Record profit for the bank", "Final won in extra time"]
    for explain in (False, True):
        classifier = open_trained(model, "cpu", explain=explain).classifier
        client = TestClient(build_app(classifier, "tried", Limits(), ["testserver"]))
        answers = client.post("/predict", json={"texts": texts}).json()["predictions"]
        told = [one.further.get("deciding_words") for one in classifier.predict(texts)]
        assert [answer.get("further", {}).get("deciding_words") for answer in answers] == told
        assert all(told) == explain


@pytest.mark.slow
def test_health_and_the_description_say_what_there_is(served: Served) -> None:
    status, _, body = served.ask("GET", "/health")
    assert (status, json.loads(body)) == (200, {"status": "ok", "labels": NAMES, "max_length": 64})
    described = json.loads(served.ask("GET", "/openapi.json")[2])
    assert sorted(described["paths"]) == ["/health", "/predict"]


REFUSED = {
    "no JSON": (b"texts", 422, "JSON decode error"),
    "a list": ([["a"]], 422, "valid dictionary"),
    "no texts": ({}, 422, "texts: Field required"),
    "one string": ({"texts": "a"}, 422, "texts: Input should be a valid list"),
    "an empty list": ({"texts": []}, 422, "at least 1 item"),
    "a number": ({"texts": [1]}, 422, "texts.0: Input should be a valid string"),
    "a blank text": ({"texts": ["a", " \u200b"]}, 422, "an empty text in row 2"),
    "too many texts": ({"texts": ["a"] * 9}, 422, "9 texts at once; at most 8 are taken"),
    "a long text": ({"texts": ["a" * 100_001]}, 422, "text 1 has 100,001 characters; at most 100,000"),
    "another field": ({"texts": ["a"], "model": "x"}, 422, "model: Extra inputs are not permitted"),
    "a large body": ({"texts": ["a" * 100_000] * 11}, 413, "larger than 1,000,000 bytes"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_a_sentence(name: str, served: Served) -> None:
    body, status, part = REFUSED[name]
    found, said = served.error(body)
    assert found == status, said
    assert part in said
    assert len(said) < 500  # what was sent is not sent back


@pytest.mark.slow
def test_other_paths_methods_and_hosts_are_refused(served: Served) -> None:
    assert served.ask("GET", "/no")[0] == 404
    assert served.ask("GET", "/page.py")[0] == 404
    assert served.ask("GET", "/predict")[0] == 405
    assert served.ask("GET", "/health", None, Host="evil.example")[0] == 400  # a name that was bent to 127.0.0.1


@pytest.mark.slow
def test_a_body_that_never_says_its_size_is_cut_off(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    chunks = (b" " * 100_000 for _ in range(20))
    connection.request("POST", "/predict", chunks, {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413


@pytest.mark.slow
def test_too_many_requests_are_told_when_to_come_back(model: Path) -> None:
    process, port = started(model, "--rate", "2")
    try:
        served = Served(port, process, TextClassifier.load(model))
        found = [served.ask("POST", "/predict", {"texts": ["a"]}) for _ in range(6)]
        refused = [(status, headers) for status, headers, _ in found if status == 429]
        assert refused
        assert {headers["retry-after"] for _, headers in refused} == {"1"}
        assert served.ask("GET", "/health")[0] == 200
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_a_rate_by_hand() -> None:
    now = [0.0]
    rate = Rate(2, clock=lambda: now[0])
    assert [rate.wait() for _ in range(3)] == [0, 0, 0.5]
    now[0] = 0.5
    assert [rate.wait(), rate.wait()] == [0, 0.5]
    now[0] = 100.0  # a long pause fills the bucket once, no more
    assert [rate.wait() == 0 for _ in range(3)] == [True, True, False]


@pytest.mark.slow
def test_memory_stays_flat_under_load_and_every_answer_is_right(
    served: Served, report: Callable[[str, object], None]
) -> None:
    texts = [f"text number {number} about the bank" for number in range(40)]
    expected = {text: found.label for text, found in zip(texts, served.classifier.predict(texts), strict=True)}

    def ask(number: int) -> float:
        text = texts[number % len(texts)]
        began = time.perf_counter()
        status, _, body = served.ask("POST", "/predict", {"texts": [text]})
        assert status == 200, body
        assert json.loads(body)["predictions"][0]["label"] == expected[text]
        return time.perf_counter() - began

    process = psutil.Process(served.process.pid)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(200)))  # warm
        before, began = process.memory_info().rss, time.perf_counter()
        seconds = list(pool.map(ask, range(1000)))
        rate = 1000 / (time.perf_counter() - began)
    grown = (process.memory_info().rss - before) / 1e6
    assert grown < 30
    report("requests to a service by four clients, a tiny model, all answered right", f"{1000:,}")
    print(f"{rate:.0f} requests a second, 99th percentile {np.percentile(seconds, 99) * 1000:.0f} ms")


@pytest.mark.slow
def test_a_person_tries_texts_in_a_browser_and_labels_stay_text(served: Served) -> None:
    with open_browser() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{served.port}/")
        page.get_by_label("Texts").fill("<img src=x onerror=document.title='hacked'>\n\nRecord profit")
        page.get_by_role("button", name="Label them").click()
        page.locator("tbody tr").nth(1).wait_for()
        assert page.locator("tbody tr").count() == 2
        assert page.locator("tbody img").count() == page.locator("tbody b").count() == 0
        assert page.locator("tbody td").nth(1).inner_text() in NAMES
        assert page.title().startswith("Try ")
        page.get_by_label("Texts").fill("\n".join("abcdefghi"))
        page.get_by_role("button", name="Label them").click()
        page.get_by_text("9 texts at once").wait_for()


def test_a_port_that_is_taken_and_a_model_that_is_not_there_are_told(model: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [sys.executable, "-m", "bertft_helpers", "serve"]
        port = ["--port", str(taken.getsockname()[1])]
        busy = subprocess.run([*words, str(model), *port], capture_output=True, text=True, timeout=120)
    assert (busy.returncode, "in use" in busy.stderr) == (1, True), busy.stderr
    missing = subprocess.run([*words, "nowhere"], capture_output=True, text=True, timeout=120)
    assert missing.returncode == 2
    assert "nowhere" in missing.stderr
