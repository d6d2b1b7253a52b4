"""From an error to an exit status and what a person reads about it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from cl_engine.errors import EngineError

# typer either needs click or carries a copy of it; its own exception leads to the right base class in both cases.
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]


def _about(error: EngineError) -> str:
    from cl_engine.config.scenario import ConfigError
    from cl_engine.memory.ledger import MemoryContractError, table

    if isinstance(error, ConfigError):
        return str(error)  # one line a problem, each of which begins with its place
    entries = error.entries if isinstance(error, MemoryContractError) else []
    return f"cl-engine: {error}" + (f"\n{table(entries)}" if entries else "")


def _misused(error: Any) -> str:
    command = error.ctx.command_path if error.ctx else "cl-engine"
    what = " ".join(error.format_message().split()).replace("Value error, ", "")  # what Typer says before a choice
    return f"cl-engine: {what} (see {command} --help)"


# The first row that fits is taken; an error that fits none is a fault of the program and keeps its traceback.
ENDINGS: list[tuple[Any, Callable[[Any], int], Callable[[Any], str]]] = [
    (USAGE_ERROR, lambda error: 2, _misused),
    (EngineError, lambda error: error.status, _about),
    ((KeyboardInterrupt, typer.Abort), lambda error: 130, lambda error: "cl-engine: interrupted"),
    (BrokenPipeError, lambda error: 1, lambda error: ""),  # the reader went away, as `| head` does
    (
        (FloatingPointError, MemoryError),
        lambda error: 1,
        lambda error: f"cl-engine: {str(error) or type(error).__name__}",
    ),
]


def exit_status(command: Callable[[], Any]) -> int:
    """Run a command and return its exit status; print what it printed, or else what a user can do about it.

    The command's output is held back until it ends, so that there is one place where writing it can fail.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    if sys.stdout is None:
        print("cl-engine: standard output is closed; allowed: a terminal, a pipe or a file", file=sys.stderr)
        return 1
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            status = command()
        if status == 130:  # typer keeps the exception to itself
            raise KeyboardInterrupt
        _write(output.getvalue())
        return status if isinstance(status, int) else 0
    except BaseException as error:
        for fits, status_of, about in ENDINGS:
            if isinstance(error, fits):
                if text := about(error):
                    print(text, file=sys.stderr)
                return status_of(error)
        raise


def _write(text: str) -> None:
    """Print on standard output.

    Raises:
        EngineError: it cannot be written; BrokenPipeError where the reader went away.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails again when it ends
        if isinstance(error, BrokenPipeError):
            raise
        raise EngineError(f"standard output cannot be written: {error.strerror}") from None
