"""What several commands take: a scenario, keys to replace in it, and the form of the output."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

import cl_engine

if TYPE_CHECKING:
    from cl_engine.config.scenario import Scenario

File = Annotated[str, typer.Argument(metavar="FILE", help="A scenario file (YAML), or the name of a shipped one.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a key, e.g. strategy=replay or stream.step=5; repeatable."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")
]


def load_scenario(file: str, overrides: list[str] | None) -> Scenario:
    """Return the scenario that a file or a shipped name means, with ``--set`` applied.

    Raises:
        ConfigError: anything is wrong with it.
    """
    from cl_engine.config.scenario import Scenario

    with contextlib.redirect_stdout(sys.stderr):  # a user's module may print when it is imported
        return Scenario.load(file, overrides or [])


def show_version(wanted: bool) -> None:
    """Print the version and end, where ``--version`` asks for it."""
    if wanted:
        print(f"cl-engine {cl_engine.__version__}")
        raise typer.Exit
