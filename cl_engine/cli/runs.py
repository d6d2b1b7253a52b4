"""``cl-engine runs``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cl_engine.cli.options import Json

if TYPE_CHECKING:
    from cl_engine.reports.results import Found


def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="Folders of runs or sweeps (default: runs).")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what is in a folder: status, strategy, budget, last accuracy, age."""
    from cl_engine.reports.results import read_results
    from cl_engine.reports.text import aligned, percent, size

    found = read_results(*(folders or [Path("runs")]))
    labels = found.labels()
    rows = [{**_facts(run), "method": labels[run.run]} for run in found.runs]
    if as_json:
        left_out = [{"path": str(path), "why": why} for path, why in found.left_out]
        print(json.dumps({"runs": rows, "left_out": left_out}))
        return
    table = [("run", "status", "method", "seed", "budget", "last", "age", "")]
    for row in rows:
        budget = "-" if row["budget_bytes"] is None else size(row["budget_bytes"])
        since = "-" if row["age_seconds"] is None else age(row["age_seconds"])
        last = percent(row["last_accuracy"])
        table.append((row["run"], row["status"], row["method"], str(row["seed"]), budget, last, since, row["why"]))
    print(aligned(table))
    for path, why in found.left_out:
        print(f"left out: {path}: {why}")


def _facts(run: Found) -> dict[str, Any]:
    newest = max((file.stat().st_mtime for file in run.path.glob("*")), default=None)
    return {
        "run": run.run,
        "status": run.status,
        "seed": run.seed,
        "budget_bytes": run.budget,
        "last_accuracy": run.result["metrics"]["last_accuracy"] if run.result else None,
        "age_seconds": None if newest is None else time.time() - newest,
        "why": run.why,
    }


def age(seconds: float) -> str:
    """Return a time in its largest fitting unit.

    >>> age(90), age(7200)
    ('2 min', '2 h')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
