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
    strategies = "strategies"
    backbones = "backbones"
    codecs = "codecs"
    metrics = "metrics"
    scenarios = "scenarios"


def list_kinds(
    what: Annotated[What | None, typer.Argument(help="Only this; everything without it.")] = None,
    as_json: Json = False,
) -> None:
    """List every kind with its description and options."""
    listed = {each.value: _listed(each) for each in ([what] if what else What)}
    if as_json:
        print(json.dumps(listed))
        return
    for heading, entries in listed.items():
        print(heading)
        for entry in entries:
            print(f"  {entry['name']}: {entry['description']}")
            for option in entry.get("options", []):
                print(
                    f"      {option['name']} = {option['default']}  ({option['allowed']})  {option['description']}"
                )


def _listed(what: What) -> list[dict[str, Any]]:
    if what is What.metrics:
        from cl_engine.metrics import DESCRIPTIONS

        return [{"name": name, "description": text} for name, text in DESCRIPTIONS.items()]
    if what is What.scenarios:
        from cl_engine.scenarios.shipped import shipped

        return [{"name": name, "description": text} for name, text in shipped().items()]
    from cl_engine.kinds.listing import options
    from cl_engine.kinds.registry import kinds, load, shared
    from cl_engine.kinds.signature import describe

    listed = [(kind, load(what.value, kind)) for kind in kinds(what.value)]
    common = shared(what.value)
    return [
        {"name": name, "description": describe(target), "options": [option._asdict() for option in options(target)]}
        for name, target in [*listed, *([("(every kind)", common)] if common else [])]
    ]
