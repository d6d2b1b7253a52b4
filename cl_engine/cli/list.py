"""``cl-engine list``."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Any

import typer

from cl_engine.cli.options import Json


class What(str, enum.Enum):
    """What `list` can list."""

    data = "data"
    streams = "streams"
    modifiers = "modifiers"
    strategies = "strategies"
    backbones = "backbones"
    codecs = "codecs"
    sections = "sections"
    metrics = "metrics"
    scenarios = "scenarios"
    recipes = "recipes"


def list_kinds(
    what: Annotated[What | None, typer.Argument(help="Only this; everything without it.")] = None,
    as_json: Json = False,
) -> None:
    """List every kind with its description and options, and the options of the other sections of a scenario."""
    found = {each.value: _listed(each) for each in ([what] if what else What)}
    if as_json:
        plain = {heading: [_plain(entry) for entry in entries] for heading, entries in found.items()}
        print(json.dumps(plain, allow_nan=False))
        return
    for heading, entries in found.items():
        print(heading)
        for entry in entries:
            print(f"  {entry['name']}: {entry['description']}")
            for option in entry.get("options", []):
                print(f"      {option.line()}")


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    options = {"options": [option.plain() for option in entry["options"]]} if "options" in entry else {}
    return {**entry, **options}


def _listed(what: What) -> list[dict[str, Any]]:
    if what is What.metrics:
        from cl_engine.metrics import DESCRIPTIONS

        return [{"name": name, "description": text} for name, text in DESCRIPTIONS.items()]
    if what in (What.scenarios, What.recipes):
        from cl_engine.scenarios.shipped import FOLDER, RECIPES, shipped

        folder = FOLDER if what is What.scenarios else RECIPES
        return [{"name": name, "description": text} for name, text in shipped(folder).items()]
    from cl_engine.kinds.listing import listed, sections

    if what is What.sections:
        from cl_engine.config.keys import keys
        from cl_engine.memory.alignment.reference import reference

        targets = {**sections(keys), "memory.budget": reference}
        return [listed(name, target) for name, target in targets.items()]
    if what is What.modifiers:
        from cl_engine.scenarios.every import every_stream

        return [listed(name, target) for name, target in sections(every_stream).items()]
    from cl_engine.kinds.registry import kinds, load, shared

    common = shared(what.value)
    every = [listed("(every kind)", common)] if common else []
    return [*(listed(kind, load(what.value, kind)) for kind in kinds(what.value)), *every]
