"""What a strategy reached over all budgets together: areas under its curve, and where two curves cross."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import combinations

from cl_engine.errors import InputError
from cl_engine.reports.page.contest import Contest
from cl_engine.statistics import Areas, Crossing, Estimate, Rank, areas, crossing, ranks, t_interval

MIB = 2**20
SCALES = {"auc_norm": "linear", "auc_log_norm": "log"}

Curves = dict[str, dict[Hashable, dict[float, float]]]


@dataclass(frozen=True)
class Area:
    """The areas of one entrant; budgets in MiB, accuracies as fractions, APM in percent per MiB.

    Attributes:
        span: smallest and largest budget that it has values at, bytes.
        complete: whether that is all of them; only then it is ranked.
        estimates: of ``auc``, ``auc_norm`` and ``auc_log_norm``, where a seed has the whole span.
        ranks: of ``auc_norm`` and ``auc_log_norm``.
        per_mib: accuracy in percent by budget in MiB at the first and the last budget of the span.
    """

    span: tuple[int, int]
    complete: bool
    estimates: dict[str, Estimate]
    ranks: dict[str, Rank]
    per_mib: tuple[float, float] | None


def curves_of(contest: Contest) -> Curves:
    """Return the curve of each seed of each ranked entrant, budgets in MiB."""
    found: Curves = {}
    for entrant in contest.ranked:
        rows = found.setdefault(entrant.label, {})
        for budget in contest.budgets:
            standing = contest.standings.get((entrant.label, budget))
            for seed, value in (standing.seeds if standing else {}).items():
                rows.setdefault(seed, {})[budget / MIB] = value
    return {label: rows for label, rows in found.items() if rows}


def areas_of(contest: Contest) -> dict[str, Area]:
    """Return the areas of each ranked entrant with values at two budgets at least."""
    if len(contest.budgets) < 2:
        return {}
    found = areas(curves_of(contest), [budget / MIB for budget in contest.budgets])
    whole = {label: a for label, a in found.items() if a.complete and a.auc}
    placed = {
        scale: ranks({k: getattr(a, scale) for k, a in whole.items()}, (), len(contest.seeds)) for scale in SCALES
    }
    return {
        label: Area(
            (round(a.low * MIB), round(a.high * MIB)),
            a.complete,
            {key: t_interval(list(getattr(a, key).values())) for key in ("auc", *SCALES)} if a.auc else {},
            {scale: placed[scale][label] for scale in SCALES if label in placed[scale]},
            _per_mib(contest, label, a),
        )
        for label, a in found.items()
        if a.low < a.high
    }


def best_by(found: dict[str, Area], scale: str) -> tuple[list[str], list[str]]:
    """Return who leads on a scale or shares the lead, and all that may."""
    ranked = {label: a for label, a in found.items() if scale in a.ranks and a.ranks[scale].rank}
    return [label for label, a in ranked.items() if a.ranks[scale].rank == 1], [
        label for label, a in ranked.items() if a.ranks[scale].may_be_best
    ]


def crossings_of(contest: Contest) -> dict[tuple[str, str], Crossing]:
    """Return where the curves of the emphasised entrants cross, by pair."""
    strong, curves = contest.emphasised(), curves_of(contest)
    names = [e.label for e in contest.ranked if e.label in strong and e.label in curves]
    found = {}
    for a, b in combinations(names, 2):
        try:
            found[a, b] = inside(crossing(curves[a], curves[b]))
        except InputError:  # fewer than two budgets, or no seed, in common
            continue
    return found


def inside(found: Crossing) -> Crossing:
    """Return a crossing without zeros at the first and the last budget: nothing changes hands there."""
    first, *_, last = found.budgets
    return found._replace(zeros=tuple(zero for zero in found.zeros if first < zero < last))


def _per_mib(contest: Contest, label: str, area: Areas) -> tuple[float, float] | None:
    ends = [(mib, contest.standings[label, round(mib * MIB)].estimate) for mib in (area.low, area.high)]
    (first, start), (last, end) = ends
    return (100 * start.mean / first, 100 * end.mean / last) if start and end else None
