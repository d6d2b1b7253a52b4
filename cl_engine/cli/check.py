"""``cl-engine check``."""

from __future__ import annotations

import json

from cl_engine.cli.options import File, Json, Set, load_scenario


def check(file: File, overrides: Set = None, as_json: Json = False) -> None:
    """Validate a scenario without training anything."""
    scenario = load_scenario(file, overrides)
    facts = {
        "name": scenario.name,
        "id": scenario.id,
        "experiences": len(scenario.plan),
        "samples": len(scenario.plan.indices),
        "classes": len(set(scenario.labels.train.tolist())),
        "fingerprint": scenario.plan.fingerprint,
        "config": scenario.to_dict(),
    }
    if as_json:
        print(json.dumps(facts))
        return
    print(f"{file}: fine")
    print("  {experiences} experiences, {samples:,} samples, {classes} classes".format(**facts))
    print("  stream fingerprint {fingerprint}".format(**facts))
