"""A classifier around a model or another classifier, which makes, changes or completes its predictions."""

from __future__ import annotations

from typing import Generic, TypeVar

from bertft_helpers.inference import TextReader

__all__ = ["Around"]

_Inner = TypeVar("_Inner", bound=TextReader)


class Around(Generic[_Inner]):
    """Everything of the ``classifier`` inside but ``predict``, which is for the classes that are made from this one."""

    def __init__(self, classifier: _Inner) -> None:
        self.classifier = classifier
        self.notes = list(classifier.notes)

    @property
    def cut_after(self) -> int | None:
        """Where texts are cut, in tokens; None where all of a text is read."""
        return self.classifier.cut_after

    @property
    def label_names(self) -> list[str]:
        """The names of the classes."""
        return self.classifier.label_names

    def prepare(self, text: str) -> str:
        """A text as the model reads it."""
        return self.classifier.prepare(text)
