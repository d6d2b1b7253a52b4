"""The table of one metric as data: what each cell says and how it stands out, before any markup."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from cl_engine.errors import InputError
from cl_engine.metrics import DESCRIPTIONS
from cl_engine.reports.exports.comparing import Comparison, comparisons
from cl_engine.reports.text import size
from cl_engine.statistics import Rank, t_interval

Spread = Literal["ci", "sd", "se"]
SPREADS = {"ci": "half-width of the 95 % t-interval", "sd": "standard deviation", "se": "standard error"}
MOST_DECIMALS = 4


@dataclass(frozen=True)
class Cell:
    """One strategy at one budget.

    Attributes:
        mean: as text, in percent; empty where there is none.
        spread: as text, or empty with one seed.
        place: ``best``, ``second`` or empty.
        may_be_best: whether the seeds leave it the first rank.
        lost: whether runs failed or are unfinished; with an empty mean, all.
        impossible: the budget rules it out.
    """

    mean: str = ""
    spread: str = ""
    place: Literal["best", "second", ""] = ""
    may_be_best: bool = False
    lost: bool = False
    impossible: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of strategies, columns of budgets.

    Attributes:
        budgets: headings.
        references: rows of the bounds, ``(label, cells)``.
        strategies: rows of all others.
        caption: plain text: what the numbers are.
        marks: which of ``best``, ``second``, ``may_be_best``, ``impossible``, ``lost`` occur.
    """

    budgets: tuple[str, ...]
    references: tuple[tuple[str, tuple[Cell, ...]], ...]
    strategies: tuple[tuple[str, tuple[Cell, ...]], ...]
    caption: str
    marks: frozenset[str]


def table(frame: pd.DataFrame, metric: str, pm: str = "ci") -> Table:
    """Return the table of a metric; for the arguments see :func:`latex_table`.

    A mean has one decimal, or as many as its spread needs to show two digits where one decimal would show nothing.

    Raises:
        InputError: no such metric or spread, no runs, or runs of several policies or streams.
    """
    if metric not in DESCRIPTIONS or metric not in frame:
        allowed = ", ".join(name for name in DESCRIPTIONS if name in frame)
        raise InputError(f"table: there is no metric {metric!r} in these runs; allowed: {allowed or 'none'}")
    if pm not in SPREADS:
        raise InputError(f"table: pm {pm!r}; allowed: {', '.join(SPREADS)}")
    columns = comparisons(frame)
    budgets = [column.budget for column in columns]
    policies = {column.policy for column in columns}
    if not columns or len(policies) > 1 or len({repr(budget) for budget in budgets}) < len(budgets):
        have = "no runs" if not columns else "several policies" if len(policies) > 1 else "several streams"
        raise InputError(
            f"table: the frame has {have}; allowed: runs of one policy and one stream, select its rows"
        )
    cells = [_column(column, metric, pm) for column in columns]
    names = dict.fromkeys(label for column in columns for label in column.strategies)
    rows = [(label, tuple(column.get(label, Cell()) for column in cells)) for label in names]
    references = {label for column in columns for label in column.references}
    return Table(
        _headings(budgets),
        tuple(row for row in rows if row[0] in references),
        tuple(row for row in rows if row[0] not in references),
        _caption(frame, columns, metric, pm),
        frozenset(mark for _, row in rows for cell in row for mark in _marks(cell)),
    )


def _column(column: Comparison, metric: str, pm: str) -> dict[str, Cell]:
    ranked = column.ranks(metric)
    second = min((r.rank for r in ranked.values() if r.rank is not None and r.rank > 1), default=None)
    return {
        label: _cell(list(values.values()), pm, ranked.get(label), second, column, label)
        for label, values in column.values(metric).items()
    }


def _cell(
    values: list[float], pm: str, rank: Rank | None, second: int | None, column: Comparison, label: str
) -> Cell:
    lost, impossible = column.lost[label] > 0, label in column.impossible
    if not values:
        return Cell(lost=lost, impossible=impossible)
    found = t_interval(values)
    spread = 100 * {"ci": found.high - found.mean, "sd": found.sd, "se": found.se}[pm]
    decimals = 1
    if 0 < spread < 0.05:
        decimals = min(MOST_DECIMALS, 1 - math.floor(math.log10(spread)))
    place = rank.rank if rank else None
    return Cell(
        f"{100 * found.mean:.{decimals}f}",
        "" if math.isnan(spread) else f"{spread:.{decimals}f}",
        "best" if place == 1 else "second" if place and place == second else "",
        bool(rank and rank.may_be_best),
        lost,
    )


def _headings(budgets: list[float]) -> tuple[str, ...]:
    names = ["no budget" if math.isnan(budget) else size(budget) for budget in budgets]
    count = Counter(names)
    return tuple(
        name if count[name] == 1 else f"{budget:,.0f} B" for name, budget in zip(names, budgets, strict=True)
    )


def _caption(frame: pd.DataFrame, columns: list[Comparison], metric: str, pm: str) -> str:
    counts = {len(values) for column in columns for values in column.values(metric).values() if values} or {0}
    low, high = min(counts), max(counts)
    seeds = f"{high} seed{'s' * (high != 1)}" if low == high else f"{low} to {high} seeds"
    what = f"Mean over {seeds}" if high < 2 else f"Mean and {SPREADS[pm]} over {seeds}"
    done = frame[frame["status"] == "done"]
    parts = [f"{metric.replace('_', ' ').capitalize()}. {what}, in percent"]
    if columns[0].policy:
        parts.append(f"policy {columns[0].policy}")
    if columns[0].scenario:
        parts.append(columns[0].scenario)
    if "fingerprint" in done and done["seed"].nunique() > 1:
        parts.append(_stream(done))
    return "; ".join(parts) + "."


def _stream(done: pd.DataFrame) -> str:
    """Return what the seeds vary of the stream: nothing, the order of samples, or that of classes too."""
    if done["fingerprint"].nunique() == 1:
        return "stream fixed over seeds"
    if "classes_fingerprint" in done and done["classes_fingerprint"].nunique() == 1:
        return "one class order, samples drawn anew for every seed"
    return "stream drawn anew for every seed"


def _marks(cell: Cell) -> list[str]:
    flags = {"may_be_best": cell.may_be_best, "lost": cell.lost, "impossible": cell.impossible}
    return [*([cell.place] if cell.place else []), *(mark for mark, on in flags.items() if on)]
