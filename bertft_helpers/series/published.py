"""Where a stamped series is published, and links between its files: to files here, to Colab and GitHub there."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

__all__ = ["LINK", "Repository", "inside", "local_links", "published_links", "repository_of"]


# code is taken first, so that a link shown in code stays as it is
LINK = re.compile(
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


def inside(match: re.Match[str], origin: str) -> str | None:
    """The file of the project that a match of ``LINK`` in the file ``origin`` leads to; None for all other links."""
    target = match["target"]
    if match["code"] or not target or target.startswith("#") or _OUTSIDE.match(target):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target.partition("#")[0]))


def published_links(markdown: str, repository: Repository | None, origin: str) -> str:
    """Markdown of the lesson ``origin`` whose links to lessons open them in Colab, and those to other files on GitHub.

    Without a repository nothing changes: the links lead to the files.
    """

    def replace(match: re.Match[str]) -> str:
        file = inside(match, origin)
        if repository is None or file is None:
            return match[0]
        _, hash_sign, anchor = match["target"].partition("#")
        there = repository.launchers(file)["Colab"] if file.endswith(".ipynb") else repository.page(file)
        return f"{match['image']}[{match['text']}]({there}{hash_sign}{anchor})"

    return LINK.sub(replace, markdown)


def local_links(markdown: str, repository: Repository | None, origin: str) -> str:
    """What ``published_links`` was given: links to the files, from the folder of the lesson, whatever their tag."""
    if repository is None:
        return markdown
    hosts = r"(?:https://colab\.research\.google\.com/github|https://github\.com)"
    tag = rf"(?:{re.escape(repository.tag)}|[^/)\s]+)"
    there = re.compile(rf"\]\({hosts}/{re.escape(repository.name)}/blob/{tag}/([^)\s]+)\)")
    return there.sub(lambda match: f"]({posixpath.relpath(match[1], posixpath.dirname(origin))})", markdown)
