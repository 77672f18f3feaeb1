"""Links of the sources, rewritten for the site: to its own pages, to the repository once stamped, else plain text."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Repository", "repository_of", "rewrite_links"]


# code is taken first, so that a link shown in code stays as it is
_LINK = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`)|(?P<image>!?)\[(?P<text>(?:`[^`]*`|[^\[\]`])*)\]\((?P<target>[^)\s]+)\)",
    flags=re.DOTALL,
)
_OUTSIDE = re.compile(r"[a-z]+:", flags=re.IGNORECASE)
_GITHUB = re.compile(r"git\+https://github\.com/(?P<name>[^@]+?)(?:\.git)?@(?P<tag>.+)")


class Repository(NamedTuple):
    """Where a stamped series is published on GitHub."""

    name: str  # OWNER/REPO
    tag: str

    def page(self, path: str) -> str:
        """The page of a file, ``path`` from the repository's root."""
        return f"https://github.com/{self.name}/blob/{self.tag}/{path}"

    def launchers(self, path: str) -> dict[str, str]:
        """Where a notebook can be opened and run, by the host's name."""
        blob = f"github/{self.name}/blob/{self.tag}/{path}"
        return {
            "Colab": f"https://colab.research.google.com/{blob}",
            "Kaggle": f"https://kaggle.com/kernels/welcome?src={self.page(path)}",
            "Binder": f"https://mybinder.org/v2/gh/{self.name}/{self.tag}?urlpath=lab/tree/{path}",
        }


def repository_of(source: str | None) -> Repository | None:
    """The repository in a lesson's stamp; None when it is not stamped, or stamped with another kind of address."""
    match = _GITHUB.fullmatch(source or "")
    return Repository(match["name"], match["tag"]) if match else None


def rewrite_links(
    markdown: str, origin: str, page: str, pages: Mapping[str, str], repository: Repository | None
) -> str:
    """Markdown with the links of the file ``origin`` as the site's page ``page`` needs them.

    ``pages`` has the site's page (or picture) for each file of the project that has one; all paths are from a root.
    """

    def replace(match: re.Match[str]) -> str:
        target = match["target"]
        if match["code"] or not target or target.startswith("#") or _OUTSIDE.match(target):
            return match[0]
        path, hash_sign, anchor = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        if file in pages:
            there = posixpath.relpath(pages[file], posixpath.dirname(page) or ".")
            return f"{match['image']}[{match['text']}]({there}{hash_sign}{anchor})"
        if repository and not match["image"]:
            return f"[{match['text']}]({repository.page(file)}{hash_sign}{anchor})"
        return match["text"]

    return _LINK.sub(replace, markdown)
