"""``cl-engine schema``."""

from __future__ import annotations

import json


def schema() -> None:
    """Print the JSON Schema of a scenario file, for editors that complete and check YAML."""
    from cl_engine.config.keys import scenario_schema

    print(json.dumps(scenario_schema(), indent=1))
