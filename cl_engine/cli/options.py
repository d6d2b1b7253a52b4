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
        "--set",
        metavar="KEY=VALUE",
        help="Replace a key, e.g. strategy=replay, stream.step=5 or replace.0.at=1; repeatable.",
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

    for lost, by in lost_assignments(overrides or []):
        print(f"cl-engine: --set {lost!r} is lost: the later --set {by!r} replaces it", file=sys.stderr)
    with contextlib.redirect_stdout(sys.stderr):  # a user's module may print when it is imported
        return Scenario.load(file, overrides or [])


def swept_cells(scenario: Scenario) -> int:
    """Return how many cells the scenario's `sweep` section stands for; 0 without one."""
    from cl_engine.config.axes import assignments_of

    section = scenario.document.tree.get("sweep")
    return len(assignments_of(section, scenario.seed)) if section else 0


def note_sweep(scenario: Scenario, file: str) -> None:
    """Say of a file with a `sweep` section that this command leaves it out."""
    if cells := swept_cells(scenario):
        print(f"note: without the sweep of its {cells:,} cells, which is: cl-engine sweep {file}", file=sys.stderr)


def lost_assignments(overrides: list[str]) -> list[tuple[str, str]]:
    """Return the assignments of which nothing is left, each with the later one that replaces it.

    >>> lost_assignments(["stream.step=5", "seed=1", "stream=gcil", "stream.seed=2"])
    [('stream.step=5', 'stream=gcil')]
    """
    keys = [assignment.partition("=")[0].strip() for assignment in overrides]
    replaced = (
        next((j for j in range(i + 1, len(keys)) if f"{key}.".startswith(f"{keys[j]}.")), None)
        for i, key in enumerate(keys)
    )
    return [(overrides[i], overrides[j]) for i, j in enumerate(replaced) if j is not None]


def show_version(wanted: bool) -> None:
    """Print the version and end, where ``--version`` asks for it."""
    if wanted:
        print(f"cl-engine {cl_engine.__version__}")
        raise typer.Exit
