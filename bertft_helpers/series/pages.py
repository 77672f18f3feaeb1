"""HTML pages from the templates beside this module; every value is escaped."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: object) -> str:
    """The page that ``templates/<template>`` makes of the values; ``markupsafe.Markup`` is HTML already.

    Raises jinja2's UndefinedError for a value that the template names and nobody gives.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)
