"""``bertft site``: the website in a folder, built by Sphinx from the stored notebooks; nothing is executed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.files import new_folder, remove_folder, scratch_folder, sweep
from bertft_helpers.series.site.sources import Sources

MADE_BY_SPHINX = "objects.inv"  # every site has it: a folder with it is an earlier site and may be replaced


def build_site(folder: Path, out: Path, book: Path | None = None) -> None:
    """Build the site of the lessons in ``folder`` into ``out``, which must be new, empty or an earlier site.

    Its first page offers the books in the folder ``book``. Raises UserError for another ``out``, MissingError for a
    ``book`` without books, RunError with Sphinx's words for any warning of it.
    """
    import myst_nb  # noqa: F401  (says which package is missing before anything is written)

    earlier = out.is_dir() and any(out.iterdir())
    if earlier and not (out / MADE_BY_SPHINX).exists():
        raise UserError(f"{out} holds something that is no site: choose another folder, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out.parent)
    with scratch_folder("site") as scratch:
        Sources(folder, book).write(scratch / "sources")
        run_sphinx("html", scratch / "sources", scratch / "html")
        if earlier:
            remove_folder(out)
        with new_folder(out) as draft:
            shutil.copytree(scratch / "html", draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".buildinfo"))


def run_sphinx(builder: str, sources: Path, out: Path) -> None:
    """Run one of Sphinx's builders in a process of its own. Raises RunError with what it said."""
    doctrees = sources.with_name("doctrees")
    # -P: a file in the folder where somebody stands must not be taken for a library
    command = [sys.executable, "-P", "-m", "sphinx", "-W", "--keep-going", "-q", "-b", builder, "-d", str(doctrees)]
    done = subprocess.run([*command, str(sources), str(out)], capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RunError(f"Sphinx could not build the {builder}:\n{done.stderr.strip()[-4000:]}")
