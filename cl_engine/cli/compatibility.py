"""``cl-engine compatibility``."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cl_engine.cli.options import Json


class Protocol(str, Enum):
    """How a score is made."""

    templates = "templates"
    instances = "instances"
    map = "map"
    verification = "verification"


def compatibility(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="A file for each version of a model, oldest first: gallery, queries and their labels.",
        ),
    ],
    protocol: Annotated[
        Protocol,
        typer.Option(help="Top-1 among class templates or all instances, mean average precision, or pairs."),
    ] = Protocol.templates,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with the matrix as a heat map.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell whether each version of a model can search the galleries that older ones embedded; trains nothing."""
    from cl_engine.data.versions import read_versions
    from cl_engine.metrics import compatibility_matrix, compatibility_metrics
    from cl_engine.metrics.compatibility import failures
    from cl_engine.reports.compatibility import compatibility_text, write_compatibility
    from cl_engine.running.store import writing

    if out is not None and out.exists() and any(file.exists() and out.samefile(file) for file in files):
        raise typer.BadParameter(f"got --out {out}, which is one of the files; allowed: another one")
    read = read_versions(files)
    matrix = compatibility_matrix(
        read.galleries, read.queries, read.gallery_labels, read.query_labels, protocol.value
    )
    found = {
        "protocol": protocol.value,
        "files": [str(file) for file in files],
        "matrix": matrix,
        **compatibility_metrics(matrix),
        "failures": [[t + 1, k + 1] for t, k in failures(matrix)],
        "gallery_bytes": [gallery.nbytes for gallery in read.galleries],
    }
    names = [file.name for file in files]
    if out is not None:
        with writing(out):
            write_compatibility(found, names, out)
    print(json.dumps(found) if as_json else compatibility_text(found, names))
    if out is not None and not as_json:
        print(f"\n{out}")
