"""The record of a run: what ``result.json`` holds, as an object."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cl_engine
from cl_engine.config import Scenario
from cl_engine.learning import Exposure
from cl_engine.memory.budget import Budget
from cl_engine.metrics import all_metrics

SCHEMA = 1


class RunRecord:
    """A finished run.

    Attributes:
        directory: where it is stored, or None.
    """

    def __init__(self, result: dict[str, Any], directory: Path | None = None) -> None:
        self._result, self.directory = result, directory

    @classmethod
    def load(cls, directory: str | Path) -> RunRecord:
        """Read a run directory.

        Raises:
            FileNotFoundError: there is no finished run.
        """
        return cls(json.loads((Path(directory) / "result.json").read_text(encoding="utf-8")), Path(directory))

    @property
    def metrics(self) -> dict[str, float | None]:
        """Accuracy metrics by name, fractions; None where undefined."""
        found: dict[str, float | None] = self._result["metrics"]
        return found

    @property
    def accuracy(self) -> dict[str, Any]:
        """``seen`` (A_1..A_T), ``matrix`` (after experience k on group j) and ``curve``."""
        found: dict[str, Any] = self._result["accuracy"]
        return found

    @property
    def memory(self) -> dict[str, Any]:
        """Bytes held after each experience, under both policies, with every entry."""
        found: dict[str, Any] = self._result["memory"]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the whole record as plain data, as in ``result.json``."""
        return self._result

    def __repr__(self) -> str:
        kind = self._result["config"]["strategy"]["kind"]
        accuracy, held = self.metrics["average_accuracy"], self.memory["max_held_bytes"]
        return f"<RunRecord {self._result['name']}: {kind}, average accuracy {accuracy}, {held} bytes at most>"


def result_of(
    scenario: Scenario,
    exposures: Sequence[Exposure],
    budget: Budget | None,
    device: torch.device,
    lines: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Build the result from the records of all experiences."""
    correct = [np.array(line["correct"], dtype=np.int64) for line in lines]
    tested = np.array(lines[-1]["tested"], dtype=np.int64)
    groups = [list(e.new_classes) for e in exposures]
    seen = [_ratio(c.sum(), tested[: len(c)].sum()) for c in correct]
    matrix = [
        [_ratio(c[g].sum(), tested[g].sum()) if g and max(g) < len(c) else None for g in groups] for c in correct
    ]
    delivered = np.cumsum([line["samples"] for line in lines]).tolist()
    curve = list(zip(delivered, seen, strict=True))
    held = [line["held_bytes"] for line in lines]
    return {
        "schema": SCHEMA,
        "name": scenario.name,
        "id": scenario.id,
        "status": "done",
        "seed": scenario.seed,
        "config": scenario.to_dict(),
        "stream": {
            "kind": scenario.stream["kind"],
            "fingerprint": scenario.plan.fingerprint,
            "experiences": [{k: line[k] for k in ("samples", "classes", "new_classes")} for line in lines],
            "dropped_samples": scenario.plan.dropped,
            "notes": list(scenario.plan.notes),
        },
        "metrics": all_metrics(seen, matrix, curve),
        "accuracy": {"seen": seen, "matrix": matrix, "curve": [list(point) for point in curve]},
        "memory": {
            "policy": scenario.memory.policy,
            "budget_bytes": None if budget is None else budget.bytes,
            "budget_scope": None if budget is None else budget.scope,
            "held_bytes": held,
            "paper_bytes": [line["paper_bytes"] for line in lines],
            "max_held_bytes": max(held),
            "mean_held_bytes": sum(held) / len(held),
            "training_peak_bytes": max(sum(line["transient"].values()) for line in lines),
            "training_peak": {k: max(line["transient"].get(k, 0) for line in lines) for k in _transient(lines)},
            "entries": [line["entries"] for line in lines],
        },
        "notes": [f"experience {line['experience'] + 1}: {note}" for line in lines for note in line["notes"]],
        "environment": {
            "cl_engine": cl_engine.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "threads": torch.get_num_threads(),
            "device": str(device),
        },
        "seconds": {key: sum(line["seconds"][key] for line in lines) for key in ("learn", "predict", "total")},
    }


def _transient(lines: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({name for line in lines for name in line["transient"]})


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None
