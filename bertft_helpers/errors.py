"""Errors that are meant for people. Whatever else a command raises is a defect of this package."""

from __future__ import annotations


class UserError(ValueError):
    """What was given cannot be used: the message says what it is, what is allowed, what to do. Commands exit with 2."""


class MissingError(UserError, FileNotFoundError):
    """A file, folder, checkpoint or data set that was named is not there."""


class RunError(RuntimeError):
    """What was asked for is in order, but the work could not be done. Commands exit with 1."""


class DamagedFileError(RunError):
    """A file's content is not what was published or saved."""


def first_line(error: BaseException) -> str:
    """The first line of what a library says, or the name of its error where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
