"""``cl-engine data``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cl_engine.cli.options import File, Json, Set, load_scenario


def data(
    file: File,
    overrides: Set = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="SHEET.png", help="Write a few images of each class; .html: with the card."),
    ] = None,
    per_class: Annotated[int, typer.Option(min=1, max=100, help="Images of each class on the sheet.")] = 8,
    as_json: Json = False,
) -> None:
    """Show what a scenario's data holds: counts, shapes, values, samples that occur twice."""
    from cl_engine.reports.contact_sheet import write_sheet
    from cl_engine.reports.data_card import card, data_facts
    from cl_engine.running.store import writing

    scenario = load_scenario(file, overrides)
    found = scenario.source.load()
    facts = data_facts(found)
    notes = [str(note) for note in getattr(scenario.source, "notes", ())]
    if sheet:
        with writing(sheet):
            write_sheet(found, facts, sheet, per_class)
    if as_json:
        print(json.dumps({"data": scenario.to_dict()["data"], **facts, "notes": notes}))
        return
    print("\n".join([card(facts), *(f"note: {note}" for note in notes)]))
    if sheet:
        print(sheet)
