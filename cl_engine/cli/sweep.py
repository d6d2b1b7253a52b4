"""``cl-engine sweep``."""

from __future__ import annotations

import collections
import contextlib
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cl_engine.cli.options import File, Set
from cl_engine.errors import EngineError

if TYPE_CHECKING:
    from cl_engine.sweeping.cells import Cell

SOME_FAILED = 4


class SweepInterrupted(EngineError):
    """The user stopped a sweep; the message says how to continue it."""

    status = 130


def sweep(
    file: File,
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="Folder for the sweep's own folder, NAME.")] = Path("sweeps"),
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; 0: in this one.  Default: one for each core.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of each process; results depend on it in their last bits.")
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run the cells on this Ray cluster; auto: the one that runs here, else one of this machine.",
        ),
    ] = None,
    gpus_per_cell: Annotated[
        float, typer.Option(min=0, help="GPUs that Ray gives each process, such as 0.25.")
    ] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells, why each would run and what it will hold; run none.")
    ] = False,
    cells: Annotated[str | None, typer.Option(metavar="3,7,10-12", help="Run only these cells.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Run only cells that set this, e.g. strategy=memo; repeatable: either value of one key, all keys.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run cells again that failed before.")
    ] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End after the first failure.")] = False,
    no_share: Annotated[
        bool, typer.Option("--no-share", help="Compute everything in every cell; the results are the same.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where cells were computed with other --threads.")
    ] = False,
) -> None:
    """Run a scenario once for each cell of its `sweep` section; what is finished is not run again.

    Exit status: 0 all done; 4 some failed; 130 interrupted, resumable with the same command.
    """
    from cl_engine.sweeping.cells import sweep_of
    from cl_engine.sweeping.sweep import run_sweep

    with contextlib.redirect_stdout(sys.stderr):  # a user's module may print when it is imported
        found = sweep_of(file, overrides or [])
    folder = out / found.name
    chosen = _chosen(found.cells, cells, only or [])
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if dry_run:
        _list(chosen, folder)
        return
    with contextlib.redirect_stdout(sys.stderr):
        outcome = run_sweep(
            found,
            folder,
            cells=chosen,
            workers=workers,
            threads=threads,
            ray=ray,
            gpus_per_cell=gpus_per_cell,
            retry_failed=retry_failed,
            fail_fast=fail_fast,
            share=not no_share,
            force=force,
        )
    words = [f"{count} {state}" for state, count in outcome.states.items() if count]
    summary = f"{', '.join(words) or 'no cell'}; results in {folder}"
    if outcome.unwritable:
        raise EngineError(f"{outcome.unwritable}; {summary}; {_again()}")
    if outcome.interrupted:
        raise SweepInterrupted(f"interrupted; {summary}; {_again()}")
    print(summary)
    if outcome.states["failed"]:
        raise typer.Exit(SOME_FAILED)


def _again() -> str:
    return f"continue with: {shlex.join(['cl-engine', *sys.argv[1:]])}"


def _chosen(cells: list[Cell], numbers: str | None, only: list[str]) -> list[Cell]:
    if numbers is not None:
        wanted = _numbers(numbers, len(cells))
        cells = [cell for cell in cells if cell.number in wanted]
    values: dict[str, list[str]] = {}
    for assignment in only:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise typer.BadParameter(f"got --only {assignment!r}; allowed: KEY=VALUE")
        if not any(_sets(cell, key, text) for cell in cells):
            raise typer.BadParameter(f"no cell has {assignment}; allowed: {_allowed(cells, key)}")
        values.setdefault(key, []).append(text)
    kept = [c for c in cells if all(any(_sets(c, key, t) for t in texts) for key, texts in values.items())]
    if not kept:
        raise typer.BadParameter(f"no cell has all of --only {', '.join(only)}; allowed: what one cell sets")
    return kept


def _allowed(cells: list[Cell], key: str) -> str:
    """Return the values that any of the cells gives the key, a part by its kind; the keys where none sets it."""
    values = dict.fromkeys(_typed(cell.assignments[key]) for cell in cells if key in cell.assignments)
    keys = dict.fromkeys(name for cell in cells for name in cell.assignments)
    return f"{key}={', '.join(values)}" if values else f"the keys {', '.join(keys)}"


def _typed(value: Any) -> str:
    """Return a cell's value as `--only` takes it."""
    if isinstance(value, Mapping):
        value = value.get("kind", value)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _sets(cell: Cell, key: str, text: str) -> bool:
    from cl_engine.config.axes import same
    from cl_engine.config.document import SourceError, parse

    value = cell.assignments.get(key)
    wanted: list[Any] = [text]
    with contextlib.suppress(SourceError):
        wanted.append(parse(f"value: {text}", "--only").tree["value"])
    return key in cell.assignments and any(same(key, value, each) for each in wanted)


def _numbers(text: str, most: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise typer.BadParameter(f"got --cells {text!r}; allowed: numbers such as 3,7,10-12")
        if int(last or first) < int(first):
            raise typer.BadParameter(
                f"got --cells {text!r}: {part.strip()} ends before it begins; allowed: {last}-{first}"
            )
        found |= {*range(int(first), int(last or first) + 1)}
    if not found <= {*range(1, most + 1)}:
        raise typer.BadParameter(f"got --cells {text!r}; allowed: 1 to {most}")
    return found


def _list(cells: list[Cell], folder: Path) -> None:
    from cl_engine.kinds.problems import one_line
    from cl_engine.reports.text import aligned, size
    from cl_engine.running.planner import plan_memory
    from cl_engine.sweeping.scheduler import status_of

    rows = [("cell", "sets", "state", "will hold", "why")]
    print(f"planning what {len(cells):,} cells will hold", file=sys.stderr)
    for cell in cells:
        status = status_of(cell, folder)
        held, why = "", status.why.removeprefix("new").removeprefix(", ")
        if status.state != "impossible":
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    held = size(max(e["held_bytes"] for e in plan_memory(cell.scenario)["experiences"]))
            except (
                Exception,
                SystemExit,
            ) as error:  # of the strategy's own: the other cells are listed all the same
                ended = f"planning it ends with {type(error).__name__}: {one_line(error)}"
                why = "; ".join(filter(None, [why, ended]))
        rows.append((str(cell.number), cell.title, status.state, held, why))
    states = collections.Counter(state for _, _, state, *_ in rows[1:])
    print(f"{aligned(rows)}\n\n{len(cells):,} cells: {', '.join(f'{n:,} {state}' for state, n in states.items())}")
