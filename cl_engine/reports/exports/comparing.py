"""From a frame of runs to what may be compared: strategies and seeds within one policy, budget and stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cl_engine.errors import InputError
from cl_engine.metrics import DESCRIPTIONS
from cl_engine.statistics import Rank, ranks

NEEDED = ("strategy", "family", "label", "seed", "policy", "budget_bytes", "status")
LOWER_IS_BETTER = ("forgetting", "class_forgetting")


@dataclass(frozen=True, eq=False)
class Comparison:
    """The runs of one budget under one policy, on one stream a seed.

    Attributes:
        policy: what the budget counts, or None.
        budget: bytes; NaN without a budget.
        scenario: which task, in what it differs from the others of the frame.
        strategies: by label, the strategy; in the order of the frame.
        references: labels of the bounds, which are tabulated and never ranked.
        impossible: labels that the budget rules out.
        lost: by label, how many seeds have a run that failed or is unfinished, and none that is done.
        seeds: how many seeds any row names.
        runs: by label and seed, the row of the finished run.
    """

    policy: str | None
    budget: float
    scenario: str
    strategies: Mapping[str, str]
    references: frozenset[str]
    impossible: frozenset[str]
    lost: Mapping[str, int]
    seeds: int
    runs: Mapping[str, Mapping[int, Mapping[str, Any]]]

    def values(self, metric: str) -> dict[str, dict[int, float]]:
        """Return ``{label: {seed: value}}`` of the finished runs in which the metric is defined."""
        return {
            label: {seed: float(row[metric]) for seed, row in runs.items() if not pd.isna(row[metric])}
            for label, runs in self.runs.items()
        }

    def ranks(self, metric: str) -> dict[str, Rank]:
        """Return the rank of every strategy that is no reference; the best has the lowest forgetting."""
        sign = -1 if metric in LOWER_IS_BETTER else 1
        signed = {
            label: {seed: sign * value for seed, value in row.items()}
            for label, row in self.values(metric).items()
            if label not in self.references
        }
        return ranks(signed, self.impossible - self.references, self.seeds)


def comparisons(frame: pd.DataFrame) -> list[Comparison]:
    """Return the comparisons of a frame with one row a run, by policy, budget (none last) and swept data or stream.

    Raises:
        InputError: a column is missing, two finished runs are the same strategy, budget and seed, or runs of one
            seed saw different streams.
    """
    missing = [name for name in NEEDED if name not in frame]
    if missing:
        raise InputError(
            f"runs: the frame lacks {', '.join(missing)}; allowed: one row a run, as load_results gives"
        )
    swept = [name for name in frame if str(name).partition(".")[0] in ("data", "stream")]
    streams = ["scenario"] if "scenario" in frame else swept
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in frame.to_dict("records"):
        found = {str(key): value for key, value in row.items()}
        policy = "" if pd.isna(found["policy"]) else str(found["policy"])
        budget = math.inf if pd.isna(found["budget_bytes"]) else float(found["budget_bytes"])
        groups.setdefault((policy, budget, *(str(found[str(name)]) for name in streams)), []).append(found)
    return [
        _comparison(key[0] or None, key[1] if math.isfinite(key[1]) else math.nan, ", ".join(key[2:]), groups[key])
        for key in sorted(groups)
    ]


def over_scenarios(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the means over scenarios, one row a label, policy, budget and seed; no row of one scenario alone.

    A seed that lacks a scenario has no numbers: it has failed, or is impossible where none of its runs is possible.

    >>> runs = pd.DataFrame({"strategy": "ncm", "family": "own", "label": "ncm", "seed": [0, 0, 1],
    ...     "policy": "full", "budget_bytes": 1.0, "status": "done", "scenario": ["a", "b", "a"],
    ...     "average_accuracy": [0.5, 0.7, 0.9]})
    >>> print(over_scenarios(runs)[["scenario", "seed", "status", "average_accuracy"]].to_string(index=False))
               scenario  seed status  average_accuracy
    mean of 2 scenarios     0   done               0.6
    mean of 2 scenarios     1 failed               NaN
    """
    scenarios = frame["scenario"].nunique() if "scenario" in frame else 1
    metrics = defined(frame)
    rows = []
    keys = ["strategy", "family", "label", "policy", "budget_bytes", "seed"]
    for key, own in frame.groupby(keys, sort=False, dropna=False) if scenarios > 1 else ():
        done = own[own["status"] == "done"]
        whole = done["scenario"].nunique() == scenarios
        status = "done" if whole else "impossible" if (own["status"] == "impossible").all() else "failed"
        means = done.groupby("scenario")[metrics].mean().mean() if whole else dict.fromkeys(metrics, math.nan)
        rows.append({**dict(zip(keys, key, strict=True)), "scenario": f"mean of {scenarios} scenarios",
                     "status": status, **means})  # fmt: skip
    found: pd.DataFrame = pd.DataFrame(rows, columns=[*keys, "scenario", "status", *metrics])
    return found


def defined(frame: pd.DataFrame) -> list[str]:
    """Return the metrics that have a value in any row."""
    return [name for name in DESCRIPTIONS if name in frame and frame[name].notna().any()]


def _comparison(policy: str | None, budget: float, scenario: str, rows: list[dict[str, Any]]) -> Comparison:
    strategies = {str(row["label"]): str(row["strategy"]) for row in rows}
    runs: dict[str, dict[int, dict[str, Any]]] = {label: {} for label in strategies}
    streams: dict[int, str] = {}
    for row in rows:
        if row["status"] != "done":
            continue
        label, seed, stream = str(row["label"]), int(row["seed"]), str(row.get("fingerprint"))
        if seed in runs[label]:
            raise InputError(
                f"runs: two of {label}, seed {seed}, budget {budget:g}; allowed: one, select it in the frame"
            )
        if streams.setdefault(seed, stream) != stream:
            raise InputError(
                f"runs: those of seed {seed} saw different streams; allowed: one stream, select its rows"
            )
        runs[label][seed] = row
    states = {label: {str(row["status"]) for row in rows if row["label"] == label} for label in strategies}
    return Comparison(
        policy,
        budget,
        scenario,
        strategies,
        frozenset(str(row["label"]) for row in rows if row["family"] == "references"),
        frozenset(label for label, found in states.items() if found == {"impossible"}),
        {
            label: len(
                {row["seed"] for row in rows if row["label"] == label and row["status"] != "impossible"} - set(done)
            )
            for label, done in runs.items()
        },
        len({row["seed"] for row in rows}),
        runs,
    )
