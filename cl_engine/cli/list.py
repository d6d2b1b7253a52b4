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
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="|".join([*What, "NAME"]),
            help="Only these, or only the kind of this name, such as memo; everything without it.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List every kind with its description and options, and the options of the other sections of a scenario."""
    found = _named(what) if what and what not in [*What] else _entries([What(what)] if what else [*What])
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


def _entries(headings: list[What]) -> dict[str, list[dict[str, Any]]]:
    return {heading.value: _listed(heading) for heading in headings}


def _named(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of this name under their headings; several parts may share one."""
    from cl_engine.kinds.problems import did_you_mean

    entries = _entries([*What])
    found = {heading: [each for each in own if each["name"] == name] for heading, own in entries.items()}
    if not any(found.values()):
        hint = did_you_mean(name, [*entries, *(each["name"] for own in entries.values() for each in own)])
        allowed = ", ".join(entries)
        raise typer.BadParameter(f"there is nothing called {name!r}{hint}; allowed: {allowed}, or a kind's name")
    return {heading: own for heading, own in found.items() if own}


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
