"""The numbers of the page: what each strategy reached within each budget, and what the seeds say about the order.

Statistics are computed here once over all strategies, so hiding one in the page changes no number.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cl_engine.statistics.across import scenario_means
from cl_engine.statistics.intervals import Estimate, t_interval
from cl_engine.statistics.paired import Difference
from cl_engine.statistics.ranks import Rank, pairwise, ranks

METRICS = {"average_accuracy": "average accuracy", "last_accuracy": "last accuracy"}
REFERENCES = "references"  # the family that is drawn and never ranked
CROWD = 10  # above it only strategies that may be the best somewhere are drawn at full strength

Seeds = dict[Hashable, float]  # by seed
Key = tuple[str, int]  # label, budget in bytes; 0 is no budget


@dataclass(frozen=True)
class Entrant:
    """One line of the sweep: a strategy with the swept options that tell it from its variants."""

    label: str
    strategy: str
    family: str

    @property
    def reference(self) -> bool:
        """Return whether it is a bound, drawn but never ranked."""
        return self.family == REFERENCES


@dataclass(frozen=True)
class Standing:
    """One entrant within one budget.

    Attributes:
        seeds: the accuracy of each finished seed, a fraction.
        estimate: mean and t interval; None without a finished run.
        rank: among those that are ranked; None for references.
        failed: runs that failed or did not finish.
        impossible: whether the planner ruled every run out.
        held: mean over seeds of the bytes held at most, by policy.
    """

    seeds: Seeds
    estimate: Estimate | None
    rank: Rank | None
    failed: int
    impossible: bool
    held: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contest:
    """All entrants under one policy and one metric, over all scenarios or in one of them.

    Attributes:
        policy: what the budgets count.
        metric: the column of the metric.
        budgets: bytes, ascending; ``[0]`` where nothing was limited.
        entrants: in the registry's order.
        standings: by label and budget; of those without one beside others' budgets under 0.
        pairs: by budget, every ordered pair of ranked entrants.
        seeds: all seeds that were asked for.
        scenarios: over which every accuracy is a mean; one name where it is none.
    """

    policy: str
    metric: str
    budgets: list[int]
    entrants: list[Entrant]
    standings: dict[Key, Standing]
    pairs: dict[int, dict[tuple[str, str], Difference]]
    seeds: list[int]
    scenarios: list[str] = field(default_factory=lambda: [""])

    @property
    def columns(self) -> list[int]:
        """Return the budgets, and last 0 where somebody had none."""
        free = any(budget == 0 for _, budget in self.standings)
        return [*self.budgets, *([0] if free and self.budgets != [0] else [])]

    @property
    def ranked(self) -> list[Entrant]:
        """Return the entrants that compete."""
        return [e for e in self.entrants if not e.reference]

    def best(self, budget: int) -> list[str]:
        """Return those that may be the best within a budget, the highest mean first."""
        found = [(k[0], s) for k, s in self.standings.items() if k[1] == budget and s.rank and s.rank.may_be_best]
        return [label for label, s in sorted(found, key=lambda pair: -_mean(pair[1]))]

    def leaders(self, budget: int) -> list[str]:
        """Return who shares the best rank within a budget: of those with all seeds, where there are any."""
        found = self._placed(budget)
        whole = {label: place for label, place in found.items() if self.complete(label, budget)} or found
        return [label for label, place in whole.items() if place == min(whole.values())]

    def leader(self, budget: int) -> str | None:
        """Return the first of the leaders."""
        return next(iter(self.leaders(budget)), None)

    def higher(self, budget: int) -> list[str]:
        """Return those above the leaders who lack seeds, the highest first."""
        found = self._placed(budget)
        lead = found.get(self.leader(budget) or "", 0)
        return sorted((label for label, place in found.items() if place < lead), key=lambda label: found[label])

    def complete(self, label: str, budget: int) -> bool:
        """Tell whether an entrant has all seeds within a budget."""
        return len(self.standings[label, budget].seeds) == len(self.seeds)

    def emphasised(self) -> set[str]:
        """Return who is drawn at full strength: everybody, or in a crowd the references and possible winners."""
        if len(self.ranked) <= CROWD:
            return {e.label for e in self.entrants}
        possible = {label for b in self.budgets for label in [*self.leaders(b), *self.higher(b), *self.best(b)]}
        return {e.label for e in self.entrants if e.reference} | possible

    def _placed(self, budget: int) -> dict[str, int]:
        order = {e.label: s for e in self.entrants if (s := self.standings.get((e.label, budget)))}
        return {label: s.rank.rank for label, s in order.items() if s.rank and s.rank.rank}


def contests(runs: Any, entrants: Sequence[Entrant]) -> list[Contest]:
    """Return the contest of each policy and metric.

    Args:
        runs: the frame of runs (one row a cell).
        entrants: whom to compare, in order.
    """
    found = []
    seeds = sorted({int(s) for s in runs["seed"].dropna()})
    for policy in policies(runs):
        rows = runs[runs["policy"].astype(str) == policy]
        for metric in METRICS:
            found.append(_contest(rows, entrants, policy, metric, seeds))
    return found


def scenarios_of(runs: Any) -> list[str]:
    """Return the tasks that were run, in their order."""
    return [*dict.fromkeys(map(str, runs["scenario"]))]


def policies(runs: Any) -> list[str]:
    """Return the policies that budgets were enforced under, ``full`` first.

    Rows without a budget count under every policy, so they make none of their own where others have one.
    """
    limited = runs[runs["budget_bytes"].notna()]
    names = sorted({str(p) for p in (limited if len(limited) else runs)["policy"].dropna()})
    return sorted(names, key=lambda name: name != "full")


def budgets_of(runs: Any) -> list[int]:
    """Return the budgets in bytes, ascending; ``[0]`` where nothing was limited."""
    return sorted({int(b) for b in runs["budget_bytes"].dropna()}) or [0]


def _contest(rows: Any, entrants: Sequence[Entrant], policy: str, metric: str, seeds: list[int]) -> Contest:
    budgets = budgets_of(rows)
    groups = {
        (str(label), int(budget)): group
        for (label, budget), group in rows.assign(_budget=rows["budget_bytes"].fillna(0)).groupby(
            ["label", "_budget"], sort=False
        )
    }
    scenarios = scenarios_of(rows)
    values = {key: _by_seed(group, metric, scenarios) for key, group in groups.items()}
    competing = [e.label for e in entrants if not e.reference]
    placed, pairs = {}, {}
    for budget in dict.fromkeys([*budgets, *(budget for _, budget in groups)]):
        here = {label: values[label, budget] for label in competing if (label, budget) in groups}
        ruled_out = [label for label in here if not here[label] and _impossible(groups[label, budget])]
        ranked = ranks(here, ruled_out, len(seeds))
        placed.update({(label, budget): rank for label, rank in ranked.items()})
        pairs[budget] = pairwise({label: here[label] for label, rank in ranked.items() if rank.rank})
    standings = {
        key: Standing(
            values[key],
            t_interval(list(values[key].values())) if values[key] else None,
            placed.get(key),
            int(group["status"].isin(["failed", "unfinished"]).sum()),
            not values[key] and _impossible(group),
            {name: _held(group, name) for name in ("full", "paper")},
        )
        for key, group in groups.items()
    }
    return Contest(policy, metric, budgets, list(entrants), standings, pairs, seeds, scenarios)


def by_scenario(group: Any, metric: str) -> dict[int, dict[str, float]]:
    """Return ``{seed: {scenario: value}}`` of finished runs."""
    done = group[group["status"] == "done"][["seed", "scenario", metric]].dropna()
    found: dict[int, dict[str, float]] = {}
    for (seed, scenario), own in done.groupby(["seed", "scenario"]):
        found.setdefault(int(seed), {})[str(scenario)] = float(own[metric].mean())
    return found


def _by_seed(group: Any, metric: str, scenarios: Sequence[str]) -> Seeds:
    """Return the value of each seed; over several scenarios their mean, where the seed has them all."""
    found = by_scenario(group, metric)
    return {**scenario_means({seed: row for seed, row in found.items() if len(row) == len(scenarios)})}


def _impossible(group: Any) -> bool:
    return bool((group["status"] == "impossible").any())


def _held(group: Any, policy: str) -> float:
    done = group[group["status"] == "done"]
    column = "paper_bytes" if policy == "paper" else "max_held_bytes"
    return float(done[column].mean()) if len(done) and column in done else math.nan


def _mean(standing: Standing) -> float:
    return standing.estimate.mean if standing.estimate else -math.inf
