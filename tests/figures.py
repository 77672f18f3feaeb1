"""Figures that tests report about themselves (cases, kills survived, inputs tried), kept in tests/README.md.

A test calls the fixture ``report("kills survived", 50)``. ``pytest --write-figures`` runs all tests, thorough ones too,
and writes the table anew; every other run compares what its tests reported with the table, and fails when they differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).with_name("README.md")
MARK = "figure:"
HEAD = """# The tests in figures

Written by `pytest --write-figures` from what all tests counted while they ran. Every run compares its counts with it.

| what | figure |
|---|---|
"""


class Figures:
    """Collects the figures of a session, from this process or from workers, and compares or writes the page."""

    def __init__(self, write: bool, page: Path = PAGE) -> None:
        self.write, self.page = write, page
        self.found: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Figures count only when their test passed."""
        if report.when == "call" and report.passed:
            self.found.update(
                {name[len(MARK) :]: str(v) for name, v in report.user_properties if name.startswith(MARK)}
            )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page, or fail the session when it says something else than the tests."""
        if self.write:
            self.page.write_text(HEAD + "".join(f"| {name} | {self.found[name]} |\n" for name in sorted(self.found)))
        elif self.differences() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is out of date."""
        for line in self.differences():
            terminalreporter.write_line(line, red=True)

    def differences(self) -> list[str]:
        """One line for each figure that the page has otherwise or not at all."""
        page = self.page.read_text() if self.page.exists() else ""
        written = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", page, flags=re.MULTILINE))
        return [
            f"tests/README.md says {written.get(name, 'nothing')} for '{name}', the tests found {value}: "
            "run pytest --write-figures"
            for name, value in self.found.items()
            if written.get(name) != value
        ]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that writes the page."""
    parser.addoption("--write-figures", action="store_true", help="write tests/README.md from this run")


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that sees all reports compares; xdist's workers send theirs to it."""
    if config.getoption("--write-figures"):
        config.option.markexpr = ""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Figures(config.getoption("--write-figures")), "figures-of-the-session")


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """Report one figure under a name."""
    return lambda name, value: record_property(f"{MARK}{name}", value)
