"""``cl-engine compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cl_engine.cli.options import Json


def compare(
    directories: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Directories of finished runs, two or more.")
    ],
    as_json: Json = False,
) -> None:
    """Compare a few finished runs: what each reached, and what it held to reach it."""
    from cl_engine.reports.result import read_result
    from cl_engine.reports.text import comparison

    if len(directories) < 2:
        raise typer.BadParameter("allowed: the directories of two runs or more")
    results = [read_result(directory) for directory in directories]
    if as_json:
        print(json.dumps([{key: r[key] for key in ("name", "id", "seed", "metrics")} for r in results]))
        return
    print(comparison(results))
    if len({result["stream"]["fingerprint"] for result in results}) > 1:
        print("note: these runs had different streams, so their accuracies are of different tasks")
