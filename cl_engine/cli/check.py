"""``cl-engine check``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from cl_engine.cli.options import File, Json, Set, load_scenario, swept_cells


def check(file: File, overrides: Set = None, as_json: Json = False) -> None:
    """Validate a scenario without training anything; refuse a budget that no training could keep.

    Of a file with a sweep it is the scenario that the cells change; `cl-engine sweep FILE --dry-run` checks those.
    """
    from cl_engine.data.samples import sample_dtype
    from cl_engine.reports.budget import budget_words
    from cl_engine.reports.text import recipe_words

    scenario = load_scenario(file, overrides)
    cells = swept_cells(scenario)
    if not cells:  # a cell may have another budget or strategy: a sweep checks each of its own
        with contextlib.redirect_stdout(sys.stderr):  # a strategy may print
            scenario.check_budget()
    facts = {
        "name": scenario.name,
        "id": scenario.id,
        "experiences": len(scenario.plan),
        "samples": len(scenario.plan.indices),
        "classes": len(set(scenario.plan.delivered(scenario.labels.train).tolist())),
        "shape": list(scenario.labels.shape),
        "dtype": str(sample_dtype(scenario.labels.shape)).removeprefix("torch."),
        "fingerprint": scenario.plan.fingerprint,
        "notes": (notes := [*scenario.plan.notes, *map(str, getattr(scenario.source, "notes", ()))]),
        "config": scenario.to_dict(),
    }
    if cells:
        facts["cells"] = cells
    departures = scenario.departures()
    if departures is not None:
        facts["departures"] = departures
    if as_json:
        print(json.dumps(facts))
        return
    print(f"{file}: fine")
    print("  {experiences} experiences, {samples:,} samples, {classes} classes".format(**facts))
    print(f"  a sample is {facts['dtype']} {facts['shape']}")
    print("  stream fingerprint {fingerprint}".format(**facts))
    for note in notes:
        print(f"  note: {note}")
    print(f"  strategy {_in_words(scenario.strategy)}")
    if scenario.recipe and departures is not None:
        print(f"  {recipe_words(scenario.recipe, departures)}")
    print(f"  {budget_words(scenario.budget())}")
    if cells:
        print(f"  sweep: {cells:,} cells change this; each one is checked by: cl-engine sweep {file} --dry-run")


def _in_words(part: Mapping[str, Any]) -> str:
    """Return a resolved part and its options in one line, without those that are null."""
    from cl_engine.kinds.problems import shown

    options = {name: value for name, value in part.items() if name != "kind" and value is not None}
    words = [
        f"{name} {_in_words(value) if isinstance(value, Mapping) and 'kind' in value else shown(value)}"
        for name, value in options.items()
    ]
    return f"{part['kind']} ({', '.join(words)})" if words else str(part["kind"])
