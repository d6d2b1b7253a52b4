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


class Map(str, Enum):
    """What older galleries go through."""

    procrustes = "procrustes"
    ridge = "ridge"


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
    map: Annotated[
        Map | None,
        typer.Option(help="Map older galleries into the space of the newer model first, in closed form."),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Images of the gallery that a map is fitted on.")] = 256,
    prefix: Annotated[int | None, typer.Option(min=1, help="Compare the first values of each vector only.")] = None,
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
    read = read_versions(files, one_width=map is None)
    galleries, queries = ([vectors[:, :prefix] for vectors in by] for by in (read.galleries, read.queries))
    matrix = compatibility_matrix(
        galleries,
        queries,
        read.gallery_labels,
        read.query_labels,
        protocol.value,
        map=None if map is None else map.value,
        pairs=pairs,
    )
    asked = {"map": {"kind": map.value, "pairs": min(pairs, len(galleries[0]))}} if map else {}
    found = {
        "protocol": protocol.value,
        **asked,
        "files": [str(file) for file in files],
        "matrix": matrix,
        **compatibility_metrics(matrix),
        "failures": [[t + 1, k + 1] for t, k in failures(matrix)],
        "gallery_bytes": [gallery.nbytes for gallery in galleries],
    }
    names = [file.name for file in files]
    if out is not None:
        with writing(out):
            write_compatibility(found, names, out)
    print(json.dumps(found) if as_json else compatibility_text(found, names))
    if out is not None and not as_json:
        print(f"\n{out}")
