"""HTML pages from the templates of this folder: values are escaped, and a name that nobody gives is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

__all__ = ["render"]


def render(template: str, filters: Mapping[str, Callable[..., str]], values: Mapping[str, Any]) -> str:
    """The page of a template such as ``report.html.j2``. Raises jinja2's UndefinedError for a name without a value.

    A template may include others of this folder.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_source)
    )
    environment.filters |= filters
    return environment.get_template(template).render(**values)


def _source(template: str) -> str:
    return files("bertft_helpers.own_texts").joinpath(template).read_text(encoding="utf-8")
