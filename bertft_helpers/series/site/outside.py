"""``bertft links``: outside addresses of lessons and pages that no longer answer, asked by Sphinx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from bertft_helpers.errors import RunError
from bertft_helpers.files import scratch_folder
from bertft_helpers.series.site.build import run_sphinx
from bertft_helpers.series.site.sources import Sources

__all__ = ["ASKED", "DeadLink", "dead_links"]

ASKED = {  # each address twice, a quarter of a minute at most; pages that turn away programs prove nothing
    "linkcheck_timeout": 15,
    "linkcheck_retries": 2,
    "linkcheck_workers": 8,
    "linkcheck_anchors": False,
    "linkcheck_report_timeouts_as_broken": True,
    "linkcheck_allow_unauthorized": True,
}


class DeadLink(NamedTuple):
    """An address that did not answer, the page that names it, and what the server or the network said."""

    page: str
    address: str
    reason: str


def dead_links(folder: Path) -> list[DeadLink]:
    """All outside addresses in the pages of the lessons in ``folder`` that do not answer, page by page.

    Raises RunError when Sphinx could not ask.
    """
    with scratch_folder("links") as scratch:
        Sources(folder).write(scratch / "sources")
        with (scratch / "sources" / "conf.py").open("a", encoding="utf-8") as settings:
            settings.writelines(f"{name} = {value!r}\n" for name, value in ASKED.items())
        answers = scratch / "answers" / "output.json"
        try:
            run_sphinx("linkcheck", scratch / "sources", answers.parent)
        except RunError:
            if not answers.exists():  # it also fails when an address is dead, which is an answer
                raise
        lines = answers.read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines]
    dead = [DeadLink(x["filename"], x["uri"], x["info"]) for x in asked if x["status"] in ("broken", "timeout")]
    return sorted(set(dead))
