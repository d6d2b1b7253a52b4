"""What analyses and probes found of one experience, as columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NORM, SHIFT, DRIFT = "gradient_norm.", "weight_shift.", "drift."  # each with a block, or what drifts, behind it
PROBE = "probe_accuracy"
ANGLES = {"angle_old": "old", "angle_new": "new"}  # column, and its name in the result
CKA = {"cka_first": "first", "cka_previous": "previous"}  # column, and its name in the result


def observed(result: Mapping[str, Any], index: int) -> dict[str, float | None]:
    """Return the values of experience ``index`` by column; none of what was not asked for.

    >>> observed({"probes": {"linear": [0.5, 0.25], "cka": {"first": [None, 0.9], "previous": [None, 1.0]}}}, 1)
    {'probe_accuracy': 0.25, 'cka_first': 0.9, 'cka_previous': 1.0}
    """
    probes, analyses = result.get("probes", {}), result.get("analyses", {})
    found: dict[str, float | None] = {}
    if "linear" in probes:
        found[PROBE] = probes["linear"][index]
    if "cka" in probes:
        found |= {column: probes["cka"][name][index] for column, name in CKA.items()}
    if "angles" in probes:
        found |= {column: probes["angles"][name][index] for column, name in ANGLES.items()}
    found |= {f"{DRIFT}{name}": values[index] for name, values in probes.get("drift", {}).items()}
    for name, prefix, key in (("gradient-norms", NORM, "norm"), ("weight-shift", SHIFT, "shift")):
        if name in analyses:
            blocks, values = analyses[name]["blocks"], analyses[name][key][index]
            found |= {f"{prefix}{block}": value for block, value in zip(blocks, values, strict=True)}
    return found
