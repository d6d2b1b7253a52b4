"""``cl-engine preview``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cl_engine.cli.options import File, Json, Set, load_scenario


def preview(
    file: File,
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="Folder for the picture, NAME-preview.svg and .html.")] = Path("."),
    export: Annotated[
        Path | None,
        typer.Option(metavar="PLAN.npz", help="Write the plan: indices, offsets, and what else it needs."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a stream as a table and a picture, before anything is trained."""
    from cl_engine.reports.preview import overview, picture, table
    from cl_engine.running.store import writing
    from cl_engine.scenarios.families.stored import store

    scenario = load_scenario(file, overrides)
    facts = overview(scenario.labels.train, scenario.plan)
    stem = out / f"{scenario.name}-preview"
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        title = f"{scenario.name}: {scenario.stream['kind']}"
        facts["files"] = [str(f) for f in picture(scenario.labels.train, scenario.plan, title, stem)]
    if export:
        with writing(export):
            store(scenario.plan, export)
        facts["files"].append(str(export))
    if as_json:
        print(json.dumps({"name": scenario.name, **facts}))
    else:
        print(table(facts))
        print("\n".join(facts["files"]))
