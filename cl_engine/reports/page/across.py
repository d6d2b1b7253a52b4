"""Several scenarios as one comparison: what is said of a strategy over all of them, within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cl_engine.errors import InputError
from cl_engine.reports.page.contest import Contest, by_scenario
from cl_engine.statistics import Estimate, between_references, interquartile_mean, scenario_means, t_interval

Table = dict[int, dict[str, float]]  # by seed and scenario


@dataclass(frozen=True)
class Across:
    """What one strategy reached over scenarios.

    Attributes:
        middle: interquartile mean over seeds and scenarios, a fraction; None below four scenarios.
        between: its place between finetune (0) and joint (1), over scenarios in each seed, then over seeds; None
            where a reference is missing, or where there are several of one.
    """

    middle: float | None
    between: Estimate | None


def across(runs: Any, contest: Contest, budget: int) -> dict[str, Across]:
    """Return what is said over the contest's scenarios of each entrant within a budget."""
    rows = runs[runs["policy"].astype(str) == contest.policy]
    rows = rows.assign(_budget=rows["budget_bytes"].fillna(0))
    tables = {
        (str(label), int(limit)): by_scenario(group, contest.metric)
        for (label, limit), group in rows.groupby(["label", "_budget"], sort=False)
    }
    low, high = (_reference(contest, tables, name, budget) for name in ("finetune", "joint"))
    found = {}
    for entrant in contest.entrants:
        own = tables.get((entrant.label, budget))
        if own:
            whole = {seed: row for seed, row in own.items() if len(row) == len(contest.scenarios)}
            found[entrant.label] = Across(_middle(whole), _between(whole, low, high))
    return found


def _reference(contest: Contest, tables: Mapping[tuple[str, int], Table], strategy: str, budget: int) -> Table:
    """Return a bound's values within a budget, or else without one; none where several pass for it."""
    labels = [e.label for e in contest.entrants if e.strategy == strategy]
    return tables.get((labels[0], budget)) or tables.get((labels[0], 0)) or {} if len(labels) == 1 else {}


def _middle(table: Table) -> float | None:
    try:
        return interquartile_mean(table)
    except InputError:  # fewer than four scenarios, or no seed has them all
        return None


def _between(table: Table, low: Table, high: Table) -> Estimate | None:
    try:
        places = {
            seed: {name: between_references(v, low[seed][name], high[seed][name]) for name, v in row.items()}
            for seed, row in table.items()
            if row.keys() <= low.get(seed, {}).keys() & high.get(seed, {}).keys()
        }
    except InputError:  # the references are equal
        return None
    return t_interval([*scenario_means(places).values()]) if places else None
