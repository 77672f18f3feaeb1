"""The hand-out of a workshop: one printed page with the training loop and the table of choices of lesson 19."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from bertft_helpers.errors import UserError
from bertft_helpers.series.catalogue import select_lessons
from bertft_helpers.series.notebook import numbered_code_cells, tags
from bertft_helpers.series.pages import render
from bertft_helpers.series.teach.editions import learners_pages, linked_from

LOOP = tuple(f"graduates:training.{name}" for name in ("divide_and_clip", "groups_of", "train_step", "train_epoch"))


def handout_page(folder: Path) -> str:
    """The page as HTML. Raises ValueError when lesson 19 has no loop or no table of choices."""
    from nbconvert.filters import markdown2html

    (lesson,) = select_lessons(folder, ["19"])
    notebook = linked_from("handout.html", lesson, learners_pages(folder))
    code = [cell.source for _, cell in numbered_code_cells(notebook) if set(tags(cell)) & set(LOOP)]
    choices = [cell.source for cell in notebook.cells if cell.source.startswith("## Choices")]
    if not code or not choices:
        raise UserError(f"{lesson.path.name} has no cells tagged {', '.join(LOOP)}, or no section 'Choices'")
    return render("handout.html.j2", loop_cells=code, choices=Markup(markdown2html(choices[0])))
