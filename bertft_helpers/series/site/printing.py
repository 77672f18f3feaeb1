"""A page of HTML on paper: printed by a browser of Chromium's kind, and the pages on which its documents begin."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bertft_helpers.errors import MissingError, RunError

__all__ = ["BROWSERS", "find_browser", "first_pages", "print_page"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_ANCHOR = "/document-"  # what Chromium calls the beginnings of documents in a page that Sphinx made of many


def find_browser() -> str:
    """The first browser of Chromium's kind on the PATH. Raises MissingError where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise MissingError(
            f"the PDF is printed by a browser, and none of {', '.join(BROWSERS)} is on the PATH: install Chromium "
            "(Debian: apt-get install chromium), or take the EPUB alone with --epub-only"
        )
    return found


def print_page(browser: str, page: Path, pdf: Path) -> None:
    """Print a local page with a browser of Chromium's kind, with bookmarks. Raises RunError when no PDF comes."""
    flags = ["--headless", "--disable-gpu", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # its own sandbox refuses to start for root, as in containers
        flags.append("--no-sandbox")
    command = [browser, *flags, f"--user-data-dir={pdf.with_suffix('.profile')}", f"--print-to-pdf={pdf}"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, encoding="utf-8")
    if done.returncode or not pdf.exists():
        raise RunError(f"{browser} could not print the book:\n{done.stderr.strip()[-2000:]}")


def first_pages(pdf: Path) -> dict[str, int]:
    """The page, counted from 1, on which each document of a printed book begins."""
    from pypdf import PdfReader

    reader = PdfReader(pdf)
    return {
        name.removeprefix(_ANCHOR): (reader.get_destination_page_number(place) or 0) + 1
        for name, place in reader.named_destinations.items()
        if name.startswith(_ANCHOR)
    }
