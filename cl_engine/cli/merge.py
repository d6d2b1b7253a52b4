"""``cl-engine merge``."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cl_engine.cli.options import Json


def merge(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN...",
            help="Directories of finished runs of one scenario, each with other parts of stream.shard.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run directory NAME-merged-ID (default: beside the first).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add runs over shards of a stream up, exactly, to the run over all of them; closed-form strategies."""
    from cl_engine.reports.text import summary
    from cl_engine.running.merging import merge_runs

    with contextlib.redirect_stdout(sys.stderr):  # a user's module may print
        record = merge_runs(*runs, out=out)
    result = record.to_dict()
    text = f"{summary(result)}\n\nmerged: {len(runs)} runs\nrun: {record.directory}"
    print(json.dumps(result, allow_nan=False) if as_json else text)
