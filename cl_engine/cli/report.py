"""``cl-engine report``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from cl_engine.cli.options import Json

HEAVY = 5_000_000  # bytes of a page that mail and browsers take without complaint


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of sweeps or of runs, or run directories.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Where to write the page (default: DIR/report.html).")
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the tables too: CSV, LaTeX, Markdown.")
    ] = None,
    spread: Annotated[
        str,
        typer.Option(
            metavar="ci|sd|se",
            help="After ± in LaTeX and Markdown: half of the 95 % t interval, standard deviation or error.",
        ),
    ] = "ci",
    figures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the figures too: SVG, PDF, Vega-Lite.")
    ] = None,
    cells: Annotated[
        str,
        typer.Option(
            metavar="all|means|auto",
            help="List all cells, or their means over seeds; auto: means above 2,000 cells.",
        ),
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Write the report of a sweep: one HTML page that opens anywhere, without a network and without scripts."""
    from cl_engine.reports.exports.cells import SPREADS
    from cl_engine.reports.page import LISTED, listed, page_of, write_page
    from cl_engine.reports.results import read_results
    from cl_engine.running.store import writing

    if cells not in LISTED:
        raise typer.BadParameter(f"got --cells {cells!r}; allowed: {', '.join(LISTED)}")
    if spread not in SPREADS:
        raise typer.BadParameter(f"got --spread {spread!r}; allowed: {', '.join(SPREADS)}")
    found = read_results(*folders)
    path = out or folders[0] / "report.html"
    command = shlex.join(["cl-engine", *sys.argv[1:]])
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        page = page_of(found, found.title, path.parent, command)
        size = write_page(page, path, cells)
    written = [str(path)]
    if tables is not None:
        from cl_engine.reports.exports import write_tables

        with writing(tables):
            tables.mkdir(parents=True, exist_ok=True)
            files, without = write_tables(found, tables, spread)
        written += map(str, files)
        for why in without:
            print(f"note: no table {why}", file=sys.stderr)
    if figures is not None:
        from cl_engine.reports.page import write_figures

        with writing(figures):
            figures.mkdir(parents=True, exist_ok=True)
            written += [str(file) for file in write_figures(page, figures)]
    if size > HEAVY:
        shorter = "--cells means leaves the list of cells out; else " if listed(cells, len(found.runs)) else ""
        print(
            f"{path}: {size / 1e6:.1f} MB, more than the {HEAVY / 1e6:g} that open everywhere; {shorter}"
            "leave strategies, budgets or seeds out: name the run directories that matter",
            file=sys.stderr,
        )
    if as_json:
        print(json.dumps({"files": written, "bytes": size, "left_out": len(found.left_out)}))
        return
    print("\n".join(written))
    for left, why in found.left_out:
        print(f"left out: {left}: {why}", file=sys.stderr)
