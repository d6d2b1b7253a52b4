"""What is wrong with a configuration, in words: where, what, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from cl_engine.errors import InputError

LONGEST = 60  # characters of a value in a message

Where = tuple[str | int, ...]


class OptionError(InputError):
    """One option has a value that cannot work, as ``OptionError(option, what is wrong; what is allowed)``."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option, self.problem = option, problem


class Problem(NamedTuple):
    """One thing that is wrong with a configuration: the path of its key, what is wrong, what is allowed."""

    where: Where
    what: str
    at_key: bool = False  # the key itself is wrong, not its value


class Problems(Exception):
    """Everything that is wrong with a configuration."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{'.'.join(map(str, p.where))}: {p.what}" for p in self.problems))


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return ``", did you mean 'x'?"`` for the closest known name, large letters or small, or an empty text.

    Args:
        name: what is unknown.
        known: what is not.
        alike: how alike they must be, 0 to 1.

    >>> did_you_mean("reply", ["replay", "joint"])
    ", did you mean 'replay'?"
    """
    small = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(small), n=1, cutoff=alike)
    return f", did you mean {small[close[0]]!r}?" if close else ""


def shown(value: object) -> str:
    """Return a short, one-line rendering of a value, as YAML would spell the simple ones.

    A long one is cut between two of its words or numbers, where it has any.

    >>> shown([0.125] * 9)
    '[0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, ...'
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        text = repr(value)
    except RecursionError:
        return "a value nested too deeply"
    if len(text) <= LONGEST:
        return text
    cut = text[: LONGEST - 3]
    words = cut.rpartition(" ")[0]
    return f"{words} ..." if len(words) > LONGEST // 2 else f"{cut}..."


def one_line(text: object) -> str:
    """Return a message on one line, with whatever a terminal would not print escaped."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
