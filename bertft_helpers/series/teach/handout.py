"""The hand-out of a workshop: one printed page with the training loop and the table of choices of lesson 19."""

from __future__ import annotations

import html
from pathlib import Path

from bertft_helpers.errors import UserError
from bertft_helpers.series.catalogue import select_lessons
from bertft_helpers.series.notebook import numbered_code_cells, read_notebook, tags

LOOP = ("graduates:training.divide_and_clip", "graduates:training.train_step", "graduates:training.train_epoch")


def handout_page(folder: Path) -> str:
    """The page as HTML. Raises ValueError when lesson 19 has no loop or no table of choices."""
    from nbconvert.filters import markdown2html

    (lesson,) = select_lessons(folder, ["19"])
    notebook = read_notebook(lesson.path)
    code = [cell.source for _, cell in numbered_code_cells(notebook) if set(tags(cell)) & set(LOOP)]
    choices = [cell.source for cell in notebook.cells if cell.source.startswith("## Choices")]
    if not code or not choices:
        raise UserError(f"{lesson.path.name} has no cells tagged {', '.join(LOOP)}, or no section 'Choices'")
    loop = "".join(f"<pre>{html.escape(source)}</pre>" for source in code)
    return _PAGE.format(loop=loop, choices=markdown2html(choices[0]))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fine-tuning BERT: the loop and its choices</title>
<style>@page{{size:A4;margin:10mm}}body{{font:8.5pt sans-serif;max-width:52rem;margin:1rem auto}}h1,h2{{margin:.4rem 0;
font-size:12pt}}pre{{font-size:7.2pt;line-height:1.15;background:#f6f6f6;padding:.4rem;margin:.25rem 0;
white-space:pre-wrap}}table{{border-collapse:collapse}}td,th{{border-bottom:1px solid #ccc;padding:.1rem .4rem;
text-align:left;vertical-align:top}}a.anchor-link{{display:none}}</style></head>
<body><h1>Fine-tuning BERT: the loop</h1>
<p>Clear, forward, loss, backward, clip, step, schedule. First let it memorise one batch; sums and counts apart, divided
once; <code>train()</code> before training, evaluation in evaluation mode.</p>
{loop}
{choices}
</body></html>
"""
