"""The record of a run: what ``result.json`` holds, as an object."""

from __future__ import annotations

import html
import itertools
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.evaluation.evaluator import Diagnostic, Evaluator
from cl_engine.kinds.problems import did_you_mean
from cl_engine.memory.ledger import Entry, Policy, counted_bytes, held_bytes, policy_name
from cl_engine.metrics import average_accuracy
from cl_engine.reports.result import AccuracyRecord, MemoryRecord, read_result
from cl_engine.scenarios.transforms import domain_of
from cl_engine.terms.terms import Terms

if TYPE_CHECKING:
    import pandas as pd

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
            ResultError: there is no finished run, or its result is not as it was written.
        """
        return cls(read_result(Path(directory)), Path(directory))

    @property
    def metrics(self) -> dict[str, float | None]:
        """Accuracy metrics by name, fractions; None where undefined."""
        found: dict[str, float | None] = self._result["metrics"]
        return found

    @property
    def accuracy(self) -> AccuracyRecord:
        """Accuracy after each experience, on each group, and over delivered samples."""
        found: AccuracyRecord = self._result["accuracy"]
        return found

    @property
    def memory(self) -> MemoryRecord:
        """Bytes held after each experience, under both policies, with every entry."""
        found: MemoryRecord = self._result["memory"]
        return found

    @property
    def classes(self) -> list[int]:
        """The label that each column of scores stands for, as :func:`cl_engine.load` predicts them."""
        return [
            label for experience in self._result["stream"]["experiences"] for label in experience["new_classes"]
        ]

    @property
    def names(self) -> list[str]:
        """What these classes are called in the data; their labels as text where it has no names."""
        found: list[str] | None = self._result["stream"].get("class_names")
        return [str(label) for label in self.classes] if found is None else found

    def to_dict(self) -> dict[str, Any]:
        """Return the whole record as plain data, as in ``result.json``."""
        return self._result

    def to_frame(self) -> pd.DataFrame:
        """Return one row per experience, for pandas.

        Columns: ``experience`` (from 1, as in notes), ``samples`` delivered in it, ``new_classes`` and
        ``seen_classes`` (how many), ``accuracy`` on all classes seen and ``average_accuracy`` so far (fractions,
        NaN where undefined), ``held_bytes``, ``paper_bytes`` and ``counted_bytes`` (under the scenario's policy),
        ``limit_bytes`` (missing without a budget) and ``training_bytes``, the most that existed only while it was
        learned (missing in older results).
        """
        import pandas as pd

        experiences, memory, seen = self._result["stream"]["experiences"], self.memory, self.accuracy["seen"]
        count = len(experiences)
        new = [len(experience["new_classes"]) for experience in experiences]
        average = [average_accuracy(seen[:k]) for k in range(1, count + 1)]
        missing = [None] * count
        columns = {
            "experience": pd.Series(range(1, count + 1), dtype="int64"),
            "samples": pd.Series([experience["samples"] for experience in experiences], dtype="int64"),
            "new_classes": pd.Series(new, dtype="int64"),
            "seen_classes": pd.Series(list(itertools.accumulate(new)), dtype="int64"),
            "accuracy": pd.Series(seen, dtype="float64"),
            "average_accuracy": pd.Series(average, dtype="float64"),
            "held_bytes": pd.Series(memory["held_bytes"], dtype="int64"),
            "paper_bytes": pd.Series(memory["paper_bytes"], dtype="int64"),
            "counted_bytes": pd.Series(memory["counted_bytes"], dtype="int64"),
            "limit_bytes": pd.Series(memory["limits"] or missing, dtype="Int64"),
            "training_bytes": pd.Series(memory.get("training_bytes", missing), dtype="Int64"),
        }
        frame: pd.DataFrame = pd.DataFrame(columns)
        return frame

    def _repr_html_(self) -> str:
        """Return the frame as a notebook shows it: at most 20 rows, under the name and the strategy of the run."""
        table = self.to_frame().to_html(index=False, border=0, max_rows=20, na_rep="", float_format="{:.4f}".format)
        kind = self._result["config"]["strategy"]["kind"]
        return f"<p>{html.escape(self._result['name'])}: {html.escape(kind)}</p>\n{table}"

    def __repr__(self) -> str:
        kind = self._result["config"]["strategy"]["kind"]
        accuracy, held = self.metrics["average_accuracy"], self.memory["max_held_bytes"]
        return f"<RunRecord {self._result['name']}: {kind}, average accuracy {accuracy}, {held} bytes at most>"


def memory_facts(entries: Sequence[Entry], transient: Mapping[str, int], policy: Policy) -> dict[str, Any]:
    """Return what an experience's record says about memory; ``policy`` is the scenario's."""
    return {
        "held_bytes": held_bytes(entries, "full"),
        "paper_bytes": held_bytes(entries, "paper"),
        "counted_bytes": counted_bytes(entries, transient, policy),
        "entries": [entry.plain() for entry in entries],
        "transient": dict(transient),
    }


def result_of(
    scenario: Scenario,
    terms: Terms,
    lines: Sequence[dict[str, Any]],
    evaluators: Sequence[Evaluator | Diagnostic],
    names: Sequence[str] | None,
) -> dict[str, Any]:
    """Build the result from the records of all experiences; ``names`` are those of the classes, as exposed."""
    held = [line["held_bytes"] for line in lines]
    training = [sum(line["transient"].values()) for line in lines]
    budget = terms.budget
    return {
        "schema": SCHEMA,
        "name": scenario.name,
        "id": scenario.id,
        "status": "done",
        "seed": scenario.seed,
        "identity": scenario.identity,
        "config": scenario.to_dict(),
        "recipe": scenario.recipe and {"name": scenario.recipe, "departures": scenario.departures()},
        "stream": {
            "kind": scenario.stream["kind"],
            "fingerprint": scenario.plan.fingerprint,
            "experiences": [{k: line[k] for k in ("samples", "classes", "new_classes")} for line in lines],
            **({} if names is None else {"class_names": list(names)}),
            "dropped_samples": scenario.plan.dropped,
            "groups": _groups(scenario.plan.transforms),
            "notes": list(scenario.plan.notes),
        },
        **{key: value for evaluator in evaluators for key, value in evaluator.summary(lines).items()},
        "memory": {
            "policy": scenario.memory.policy,
            "budget_bytes": None if budget is None else budget.bytes,
            "budget_scope": None if budget is None else budget.scope,
            "limits": None if budget is None else list(budget.limits or [budget.bytes] * len(lines)),
            "reference_bytes": scenario.reference_bytes(),
            "counted_bytes": [line["counted_bytes"] for line in lines],
            "held_bytes": held,
            "paper_bytes": [line["paper_bytes"] for line in lines],
            "max_held_bytes": max(held),
            "mean_held_bytes": sum(held) / len(held),
            "training_bytes": training,
            "training_peak_bytes": max(training),
            "training_peak": {k: max(line["transient"].get(k, 0) for line in lines) for k in _transient(lines)},
            "entries": [line["entries"] for line in lines],
        },
        "notes": [str(note) for note in getattr(scenario.source, "notes", ())]
        + _never_held(scenario.memory.counted, lines)
        + [f"experience {line['experience'] + 1}: {note}" for line in lines for note in line["notes"]],
        "environment": {
            "cl_engine": cl_engine.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "threads": torch.get_num_threads(),
            "device": str(terms.device),
        },
        "seconds": {key: sum(line["seconds"][key] for line in lines) for key in lines[-1]["seconds"]},
    }


def _groups(transforms: Sequence[Mapping[str, Any]] | None) -> str:
    if transforms is None:
        return "classes by the experience that first exposed them"
    own = domain_of(transforms[0]) is not None
    return f"all classes, by the {'domain' if own else 'transform'} of an experience"


def _never_held(policy: Policy, lines: Sequence[dict[str, Any]]) -> list[str]:
    """Return a note on kinds that a policy names and nothing ever was."""
    if isinstance(policy, str):
        return []
    found = {e["kind"] for line in lines for e in line["entries"]} | set(_transient(lines))
    return [
        f"the policy {policy_name(policy)} counts {kind!r}, which nothing was{did_you_mean(kind, found)}"
        for kind in policy
        if kind not in found
    ]


def _transient(lines: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({name for line in lines for name in line["transient"]})
