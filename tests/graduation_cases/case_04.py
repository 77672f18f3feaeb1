"""Lesson 04: the encoder."""

from typing import Any

from graduation import Case, Functions
from minimal import parameters_of


def loaded(functions: Functions) -> Any:
    encoder = functions["load_encoder"]("bundled")
    return {"training": encoder.training, **parameters_of(encoder)}


CASES = [
    Case(
        "pretrained.load_encoder",
        loaded,
        {
            "training mode": ("return encoder.eval()", "return encoder.train()"),
            "built but not loaded": (
                "BertModel.from_pretrained(folder, use_safetensors=True)",
                "BertModel(BertModel.config_class.from_pretrained(folder))",
            ),
        },
    )
]
