"""Links of the sources, rewritten for the site: to its own pages, to the repository once stamped, else plain text."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from bertft_helpers.series.published import LINK, Repository, inside

__all__ = ["rewrite_links"]


def rewrite_links(
    markdown: str, origin: str, page: str, pages: Mapping[str, str], repository: Repository | None
) -> str:
    """Markdown with the links of the file ``origin`` as the site's page ``page`` needs them.

    ``pages`` has the site's page (or picture) for each file of the project that has one; all paths are from a root.
    """

    def replace(match: re.Match[str]) -> str:
        file = inside(match, origin)
        if file is None:
            return match[0]
        _, hash_sign, anchor = match["target"].partition("#")
        if file in pages:
            there = posixpath.relpath(pages[file], posixpath.dirname(page) or ".")
            return f"{match['image']}[{match['text']}]({there}{hash_sign}{anchor})"
        if repository and not match["image"]:
            return f"[{match['text']}]({repository.page(file)}{hash_sign}{anchor})"
        return match["text"]

    return LINK.sub(replace, markdown)
