"""The root of every error that a user can act on; each knows the exit status it ends the command line with."""

from __future__ import annotations


class EngineError(Exception):
    """What a user can mend or must know; its message is one line that says where, what, and what is allowed.

    Attributes:
        status: exit status of the command line: 2 the input is wrong, 3 the strategy broke its memory contract,
            1 anything else.
    """

    status = 1


class InputError(EngineError, ValueError):
    """The input is wrong."""

    status = 2


def known_errors() -> dict[str, type[EngineError]]:
    """Return every error class that is imported by now, by name; what a child process reports is looked up here.

    >>> known_errors()["InputError"].status
    2
    """
    found: dict[str, type[EngineError]] = {}
    todo = [EngineError]
    while todo:
        error = todo.pop()
        found[error.__name__] = error
        todo.extend(error.__subclasses__())
    return found
