"""A real browser for the tests: the machine's own Chromium, driven by playwright. Nothing is downloaded.

Where there is no browser the tests that ask for one are skipped with the reason; on CI (``CI=true``) they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bertft_helpers.series.site.printing import BROWSERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Texts that would act if a page took them for markup. Each sets window.__pwned, which assert_no_script_ran looks at.
ACTING_TEXTS = (
    "<script>window.__pwned = 'script'</script>",
    "<img src=x onerror=\"window.__pwned = 'image'\">",
    "<svg onload=\"window.__pwned = 'svg'\"></svg>",
    "</td></table></pre></title><script>window.__pwned = 'escaped the table'</script>",
    "<iframe srcdoc=\"<script>parent.__pwned = 'frame'</script>\"></iframe>",
    "<details open ontoggle=\"window.__pwned = 'toggle'\">x</details>",
    "\x1b[31m<script>window.__pwned = 'behind a colour code'</script>\x1b[0m",
    "<style>@keyframes k{}</style><b style='animation:k 1s' onanimationstart=\"window.__pwned='style'\">x</b>",
)
ODD_TEXTS = (
    "\u202egnp.exe\u202c right to left",
    "\u200b\ufeffinvisible",
    "\x1b[2J\x1b[1;31mred\x1b[0m",
    "&lt;b&gt; &amp;amp;",
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless browser; the test is skipped, or on CI fails, where none can be had."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _cannot("the package playwright is not installed: pip install 'bertft-helpers[dev]'")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        _cannot(f"no browser: none of {', '.join(BROWSERS)} is on the PATH (Debian: apt-get install chromium)")
    # Chromium's own sandbox refuses to start for root, which containers are
    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def _cannot(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def assert_no_script_ran(browser: Browser, html: Path, *, shows: tuple[str, ...] = ()) -> Page:
    """Open an HTML file without a network: no planted script ran, no dialog came, and ``shows`` can be read as text.

    Returns the open page for further questions. Plant ``ACTING_TEXTS`` in the data that the page shows.
    """
    page, dialogs = browser.new_page(), []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.route("**/*", lambda route: route.continue_() if _is_local(route.request.url) else route.abort())
    page.goto(html.resolve().as_uri(), wait_until="load")
    page.wait_for_timeout(300)  # error handlers of images and animations come after the load event
    assert dialogs == []
    assert page.evaluate("window.__pwned") is None
    text = page.inner_text("body")
    assert [wanted for wanted in shows if wanted not in text] == []
    return page


def _is_local(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:", "about:"))
