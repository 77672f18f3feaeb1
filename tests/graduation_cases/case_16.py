"""Lesson 16: unfreezing from the top, and which parameters were thawed."""

from typing import Any

from graduation import Case, Functions
from minimal import tiny_classifier

from bertft_helpers.models import freeze


def thawed(functions: Functions) -> Any:
    model = tiny_classifier()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    freeze(model)
    found = []
    for layers in (0, 1, 1, 2, None, None):
        returned = [names[id(parameter)] for parameter in functions["unfreeze"](model, layers)]
        free = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        found.append((returned, free))
    return found


CASES = [
    Case(
        "models.unfreeze",
        thawed,
        {
            "from the bottom": ("layer[depth - layers :]", "layer[:layers]"),
            "pooler forgotten": ("*above, ", ""),
            "thawed twice": (" if not parameter.requires_grad", ""),
            "returned but frozen": ("requires_grad_(True)", "requires_grad_(False)"),
        },
    ),
]
