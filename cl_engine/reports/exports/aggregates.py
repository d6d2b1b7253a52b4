"""The statistics of a sweep as two frames: every strategy by itself, and every pair."""

from __future__ import annotations

import math

import pandas as pd

from cl_engine.reports.exports.comparing import Comparison, comparisons, defined, over_scenarios
from cl_engine.statistics import Difference, bootstrap_interval, holm, pairwise, seeds_needed, t_interval

SUMMARY = {
    "strategy": "str",
    "label": "str",
    "policy": "str",
    "scenario": "str",
    "budget": "float64",
    "metric": "str",
    "n": "int64",
    **dict.fromkeys(("mean", "sd", "se", "t_low", "t_high", "boot_low", "boot_high"), "float64"),
    "rank_low": "Int64",
    "rank_high": "Int64",
    "may_be_best": "boolean",
}
PAIRS = {
    "a": "str",
    "b": "str",
    "policy": "str",
    "scenario": "str",
    "budget": "float64",
    "metric": "str",
    "n": "int64",
    **dict.fromkeys(("mean", "sd", "low", "high", "p", "p_holm"), "float64"),
    "wins": "int64",
    "ties": "int64",
    "seeds_needed": "Int64",
    "seeds_needed_upper": "Int64",
}


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each strategy, budget and metric, from one row a run.

    Columns: ``strategy``, ``label`` (the strategy with the options that tell it apart), ``policy``,
    ``scenario`` (where there are several, and of their means), ``budget`` (bytes, missing without one), ``metric``,
    ``n`` (seeds with a value), ``mean``, ``sd``, ``se``, ``t_low`` and ``t_high`` (Student's 95 % interval),
    ``boot_low`` and ``boot_high`` (percentile bootstrap), ``rank_low`` and ``rank_high`` (95 % rank interval over
    all strategies of that budget), ``may_be_best``.  Missing: what one seed leaves undefined; the ranks of
    references, of strategies with no run or too few, and of those that the budget rules out.

    Raises:
        InputError: see :func:`comparisons`.

    >>> runs = pd.DataFrame({"strategy": ["ncm"] * 3, "family": "prototypes", "label": "ncm", "seed": [0, 1, 2],
    ...     "policy": "full", "budget_bytes": 1024.0, "status": "done", "average_accuracy": [0.6, 0.7, 0.8]})
    >>> print(summary(runs)[["label", "n", "mean", "t_low", "rank_low", "may_be_best"]].to_string(index=False))
    label  n  mean    t_low  rank_low  may_be_best
      ncm  3   0.7 0.451586         1         True
    """
    rows: list[tuple[object, ...]] = []
    for comparison in [*comparisons(frame), *comparisons(over_scenarios(frame))]:
        for metric in defined(frame):
            ranked = comparison.ranks(metric)
            for label, values in comparison.values(metric).items():
                seen = list(values.values())
                n, *estimate = t_interval(seen) if seen else (0, *[math.nan] * 5)
                rank = ranked.get(label)
                rows.append(
                    (
                        comparison.strategies[label],
                        label,
                        comparison.policy,
                        comparison.scenario,
                        comparison.budget,
                        metric,
                        n,
                        *estimate,
                        *(bootstrap_interval(seen) if seen else (math.nan, math.nan)),
                        *((rank.low, rank.high, rank.may_be_best) if rank else (None, None, None)),
                    )
                )
    return _frame(rows, SUMMARY)


def pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each ordered pair of strategies that are no references, budget and metric.

    Columns: ``a`` and ``b`` (labels), ``policy``, ``scenario``, ``budget``, ``metric``, ``n`` (shared seeds),
    ``mean`` (a minus b), ``sd``, ``low`` and ``high`` (95 % t interval), ``p`` (paired t test), ``p_holm``
    (corrected over all comparisons of ``a``, as the rank intervals are; hence both orders), ``wins`` (seeds on
    which a is higher), ``ties``, ``seeds_needed`` and ``seeds_needed_upper`` where the difference is not
    significant; missing where 1,000 are not enough.

    Raises:
        InputError: see :func:`comparisons`.

    >>> runs = pd.DataFrame({"strategy": ["a", "b"] * 3, "family": "own", "label": ["a", "b"] * 3, "policy": "full",
    ...     "seed": [0, 0, 1, 1, 2, 2], "budget_bytes": 1024.0, "status": "done",
    ...     "average_accuracy": [0.6, 0.5, 0.7, 0.5, 0.8, 0.5]})
    >>> print(pairs(runs)[["a", "b", "n", "mean", "p_holm", "wins", "seeds_needed"]].to_string(index=False))
    a b  n  mean  p_holm  wins  seeds_needed
    a b  3   0.2 0.07418     3             5
    b a  3  -0.2 0.07418     0             5
    """
    rows: list[tuple[object, ...]] = []
    for comparison in [*comparisons(frame), *comparisons(over_scenarios(frame))]:
        for metric in defined(frame):
            rows += _pairs(comparison, metric)
    return _frame(rows, PAIRS)


def _pairs(comparison: Comparison, metric: str) -> list[tuple[object, ...]]:
    values = {
        label: row for label, row in comparison.values(metric).items() if row and label not in comparison.references
    }
    differences = pairwise(values)
    rows: list[tuple[object, ...]] = []
    for a in values:
        against = {b: differences[a, b] for b in values if b != a}
        adjusted = holm([d.tested for d in against.values()])
        for (b, d), p_holm in zip(against.items(), adjusted, strict=True):
            where = (a, b, comparison.policy, comparison.scenario, comparison.budget, metric)
            p = p_holm if d.n > 1 else math.nan
            rows.append((*where, d.n, d.mean, d.sd, d.low, d.high, d.p, p, d.wins, d.ties, *_needed(d)))
    return rows


def _needed(d: Difference) -> tuple[int | None, int | None]:
    if d.n < 2 or d.tested <= 0.05:
        return None, None
    return seeds_needed(d.mean, d.sd, d.n)[:2]


def _frame(rows: list[tuple[object, ...]], columns: dict[str, str]) -> pd.DataFrame:
    found: pd.DataFrame = pd.DataFrame(
        {
            name: pd.Series([row[k] for row in rows], dtype="object" if kind == "str" else kind)
            for k, (name, kind) in enumerate(columns.items())
        }
    )
    return found
