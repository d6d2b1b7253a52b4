"""The page's tables: every number that a chart shows, and those that none does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cl_engine.reports.page.across import Across
from cl_engine.reports.page.answer import span
from cl_engine.reports.page.contest import METRICS, Contest, Standing
from cl_engine.reports.page.markup import Markup, join, table, tag
from cl_engine.reports.page.swatches import swatch
from cl_engine.reports.page.whole_range import MIB, Area
from cl_engine.reports.text import decimal, size
from cl_engine.statistics import Crossing, Difference, Estimate, seeds_needed

COLUMNS = (
    "strategy",
    "budget",
    "seed",
    "policy",
    "average, %",
    "last, %",
    "forgetting, %",
    "held",
    "training peak",
    "status",
    "seconds",
)
WORDS = ("strategy", "policy", "status")  # the columns that are no numbers
CUT = 16  # letters of a name that are seen on a telephone
DASH = "\u2013"
Places = Mapping[str, int]  # the position of each label, which names its colours


def name_of(label: str, places: Places) -> Markup:
    """Return a strategy's name behind a swatch of its colour."""
    i = places[label]
    return tag("th", swatch(i), label, scope="row", data_s=i, title=label if len(label) > CUT else None)


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction as a percentage without its sign."""
    return DASH if not math.isfinite(fraction) else decimal(fraction * 100, digits)


def ranking(contest: Contest, places: Places) -> Markup:
    """Return mean and rank of each strategy within each budget, the best at the last budget first."""
    last = contest.budgets[-1]

    def order(label: str) -> float:
        standing = contest.standings.get((label, last), contest.standings.get((label, 0)))
        return -standing.estimate.mean if standing and standing.estimate else math.inf

    competing = sorted((e.label for e in contest.ranked), key=order)
    bounds = sorted((e.label for e in contest.entrants if e.reference), key=order)
    rows: list[list[object]] = []
    for label in [*competing, *bounds]:
        cells: list[object] = [name_of(label, places)]
        cells += [_ranked(contest.standings.get((label, budget)), len(contest.seeds)) for budget in contest.columns]
        rows.append(cells)
    heading = [_sorting(size(b) if b else "no budget") for b in contest.columns]
    caption = (
        f"{METRICS[contest.metric].capitalize()} in percent, mean ± half of the 95 % t interval over seeds; policy "
        f"{contest.policy}. Below: the ranks that the seeds leave open. ● may be the best. References have no rank."
    )
    return table([_sorting("strategy", True), *heading], rows, caption, class_="ranks sortable")


def areas(found: Mapping[str, Area], contest: Contest, places: Places) -> Markup:
    """Return the areas under the curves, over linear and log budgets."""
    letter = "A" if contest.metric == "average_accuracy" else "L"
    ordered = sorted(
        found, key=lambda label: -found[label].estimates["auc"].mean if found[label].estimates else math.inf
    )
    rows: list[list[object]] = []
    for label in ordered:
        area = found[label]
        own = area.estimates.get("auc")
        part = (
            None if area.complete else tag("small", f"{size(area.span[0])} to {size(area.span[1])} only, no rank")
        )
        cells: list[object] = [name_of(label, places), _number(own, 1, 3, part)]
        for scale in ("auc_norm", "auc_log_norm"):
            estimate, rank = area.estimates.get(scale), area.ranks.get(scale)
            best = bool(rank and rank.may_be_best)
            note = tag("small", _rank_words(rank)) if rank else None
            cells.append(_number(estimate, 100, 2, note, best))
        start, end = area.per_mib or (math.nan, math.nan)
        cells += [_plain(start, 1), _plain(end, 1)]
        rows.append(cells)
    heading: list[object] = [
        _sorting("strategy", True),
        _sorting(f"AUC-{letter}, MiB \u00d7 fraction"),
        _sorting("mean height, linear, %"),
        _sorting("mean height, log budget, %"),
        _sorting("APM-S, % per MiB"),
        _sorting("APM-E, % per MiB"),
    ]
    caption = (
        f"Area under the curve of {METRICS[contest.metric]} over nominal budgets (trapezoid; one number a seed, "
        "then mean ± 95 % t interval). APM: percent by MiB at the first and the last budget."
    )
    return table(heading, rows, caption, class_="sortable")


def crossings(found: Mapping[tuple[str, str], Crossing], contest: Contest, places: Places) -> Markup:
    """Return where the curves of two strategies cross, and folded those that do not."""
    rows: list[list[object]] = []
    apart: list[list[object]] = []
    for (a, b), crossing in found.items():
        zeros = ", ".join(size(z * MIB) for z in crossing.zeros)
        held = [span(p) for p in crossing.pieces if p.zeros]
        others = [span(p) for p in crossing.pieces if not p.zeros]
        above = a if crossing.above > 0 else b if crossing.above < 0 else DASH
        row: list[object] = [name_of(a, places), name_of(b, places)]
        if crossing.zeros:
            rows.append([*row, zeros, "; ".join(held) or DASH, "; ".join(others), above])
        else:
            apart.append([*row, "; ".join(others), above])
    scale = "log2 of the budget" if found and next(iter(found.values())).log else "the budget"
    caption = (
        f"Budgets at which two curves of {METRICS[contest.metric]} cross, differences linear in {scale} between "
        "budgets; Fieller's 95 % set. Nothing is said beyond the budgets measured."
    )
    heading: list[object] = [
        "first",
        "second",
        "crossing",
        "95 % interval",
        "also not separable",
        "higher at the end",
    ]
    rest: list[object] = ["first", "second", "not separable", "higher at the end"]
    return join(
        table(heading, rows, caption) if rows else None,
        tag(
            "details",
            tag(
                "summary",
                f"{len(apart)} {'pair does' if len(apart) == 1 else 'pairs do'} not cross inside the "
                "measured budgets",
            ),
            table(rest, apart),
        )
        if apart
        else None,
    )


def differences(contest: Contest, budget: int, against: str, places: Places) -> Markup:
    """Return the paired differences of all ranked strategies to one, within a budget."""
    rows: list[list[object]] = []
    for (a, b), d in contest.pairs[budget].items():
        if b == against:
            rows.append(
                [
                    name_of(a, places),
                    _difference(d),
                    tag("td", _higher(d.wins, d.ties, d.n), class_="n", data_v=d.higher),
                    tag("td", _p(d.p) if d.n > 1 else DASH, class_="n"),
                    verdict(d),
                ]
            )
    numbers = (_sorting(text) for text in ("difference, points", "higher on seeds"))
    heading = [_sorting("strategy", True), *numbers, "p", "what it means"]
    caption = (
        f"{METRICS[contest.metric].capitalize()} minus that of {against}, {_where(budget)}; paired over the shared "
        "seeds, 95 % t interval, two-sided p (not corrected)."
    )
    return table(heading, rows, caption, class_="sortable")


def verdict(d: Difference) -> str:
    """Return in words whether a difference stands out of the noise, and what it would need to."""
    if d.n < 2:
        return d.note or "no seed in common"
    if d.tested <= 0.05:
        return "significant" + (f" ({d.note})" if d.note else "")
    if d.note and not d.sd:
        return d.note
    needed = seeds_needed(d.mean, d.sd, d.n)
    if needed.seen is None:
        return f"not significant; {needed.note}"
    upper = f" (up to {needed.upper})" if needed.upper else " (or more than 1,000)"
    return f"not significant; about {needed.seen}{upper} seeds would be needed"


def pair_data(contests: Sequence[Contest], places: Places) -> tuple[list[list[Any]], list[str]]:
    """Return every pair once, for the script that lets a reader pick whom to compare with.

    Each is: contest, budget, first, second (positions), mean, low, high (points), wins, ties, n, p, and the
    position of its verdict among those that come second.
    """
    found: list[list[Any]] = []
    verdicts: dict[str, int] = {}
    for c, contest in enumerate(contests):
        for budget, pairs in contest.pairs.items():
            for (a, b), d in pairs.items():
                if places[a] < places[b] and d.n:
                    ends = [None if not math.isfinite(v) else round(100 * v, 2) for v in (d.mean, d.low, d.high)]
                    p = _p(d.p) if math.isfinite(d.p) else DASH
                    words = verdicts.setdefault(verdict(d), len(verdicts))
                    found.append([c, budget, places[a], places[b], *ends, d.wins, d.ties, d.n, p, words])
    return found, list(verdicts)


def across(
    found: Mapping[str, Across], contest: Contest, budget: int, parts: Sequence[Contest], places: Places
) -> Markup:
    """Return what each strategy reached over all scenarios and in each, within a budget.

    Args:
        found: what is said over scenarios, by label.
        contest: over all scenarios.
        budget: bytes.
        parts: the contest of each scenario alone.
        places: the position of each label.
    """
    middle = any(a.middle is not None for a in found.values())
    between = any(a.between for a in found.values())
    rows: list[list[object]] = []
    for label in sorted(found, key=lambda name: -_mean(contest.standings.get((name, budget)))):
        cells: list[object] = [
            name_of(label, places),
            _ranked(contest.standings.get((label, budget)), len(contest.seeds)),
        ]
        own = found[label]
        if middle:
            cells.append(_plain(math.nan if own.middle is None else own.middle, 1, 100.0))
        if between:
            cells.append(_number(own.between, 100, 1))
        cells += [_ranked(part.standings.get((label, budget)), len(part.seeds)) for part in parts]
        rows.append(cells)
    heading: list[object] = [
        _sorting("strategy", True),
        _sorting("mean"),
        *([_sorting("interquartile mean")] if middle else []),
        *([_sorting("from finetune (0) to joint (100)")] if between else []),
        *(_sorting(part.scenarios[0]) for part in parts),
    ]
    caption = (
        f"{METRICS[contest.metric].capitalize()} in percent, {_where(budget)}, policy {contest.policy}: the mean "
        f"over {len(parts)} scenarios, one number a seed, then ± half of the 95 % t interval; then each scenario."
    )
    return table(heading, rows, caption, class_="ranks sortable")


def _mean(standing: Standing | None) -> float:
    return standing.estimate.mean if standing and standing.estimate else -math.inf


def groups(runs: Any, places: Places) -> Markup:
    """Return one row for each strategy, budget, policy and scenario: what its cells come to."""
    heading = [
        "strategy",
        "budget",
        "policy",
        "scenario",
        "cells",
        "done",
        "average, %",
        "last, %",
        "held",
        "seconds",
    ]
    rows: list[list[object]] = []
    keys = ["label", "budget_bytes", "policy", "scenario"]
    for (label, budget, policy, scenario), own in runs.groupby(keys, sort=False, dropna=False):
        means = own[["average_accuracy", "last_accuracy", "max_held_bytes", "seconds_total"]].mean()
        numbers = [_plain(float(len(own)), 0), _plain(float((own["status"] == "done").sum()), 0)]
        rows.append(
            [
                name_of(str(label), places),
                _bytes(budget),
                str(policy),
                str(scenario),
                *numbers,
                *(_fraction(means[key]) for key in ("average_accuracy", "last_accuracy")),
                _bytes(means["max_held_bytes"]),
                _plain(means["seconds_total"], 2),
            ]
        )
    words = (*WORDS, "scenario")
    return tag(
        "div",
        table([_sorting(text, text in words) for text in heading], rows, class_="sortable", id="cells"),
        class_="cells",
    )


def cells(runs: Any, links: Mapping[str, str], places: Places) -> Markup:
    """Return one row a cell of the sweep; ``links`` leads from a run to its folder."""
    several = runs["scenario"].nunique() > 1
    heading = [_sorting(text, text in WORDS) for text in COLUMNS]
    if several:
        heading.insert(1, _sorting("scenario", True))
    rows: list[list[object]] = []
    for row in runs.to_dict("records"):
        run = str(row["run"])
        shown: object = tag("a", run, href=quote(links[run])) if run in links else tag("span", run)
        rows.append(
            [
                name_of(str(row["label"]), places),
                *([str(row["scenario"])] if several else []),
                _bytes(row["budget_bytes"]),
                _plain(row["seed"], 0),
                str(row["policy"]),
                *(_fraction(row[key]) for key in ("average_accuracy", "last_accuracy", "forgetting")),
                _bytes(row["max_held_bytes"]),
                _bytes(row["training_peak_bytes"]),
                str(row["status"]),
                _plain(row["seconds_total"], 2),
                shown,
            ]
        )
    return tag("div", table([*heading, "run"], rows, class_="sortable", id="cells"), class_="cells")


def lines(items: Sequence[tuple[str, int, str, str]]) -> Markup:
    """Return what is not in the comparison: what it is, how many, which, and why."""
    heading = ["", tag("th", "cells", scope="col"), "which", "why"]
    return table(heading, [[kind, tag("td", f"{n:,}", class_="n"), which, why] for kind, n, which, why in items])


def _ranked(standing: Standing | None, seeds: int) -> Markup:
    if standing is None:
        return tag("td")  # not asked for
    rank, estimate = standing.rank, standing.estimate
    if estimate is None:
        what = "impossible" if standing.impossible else "failed" if standing.failed else DASH
        return tag("td", tag("em", what), class_="n")
    half = f" ± {percent(estimate.high - estimate.mean)}" if estimate.n > 1 else ""
    few = f" · {estimate.n} of {seeds} seeds" if estimate.n < seeds else ""
    best = bool(rank and rank.may_be_best)
    note = _rank_words(rank) if rank else "reference"
    return tag(
        "td",
        tag("b", "● ", title="may be the best", aria_label="may be the best") if best else None,
        f"{percent(estimate.mean)}{half}",
        tag("small", note + few),
        class_="n best" if best else "n",
        data_v=f"{estimate.mean:.6g}",
        data_n=estimate.n,
    )


def _rank_words(rank: Any) -> str:
    if rank.low is None:
        return str(rank.note)
    return f"rank {rank.low}" if rank.low == rank.high else f"rank {rank.low}{DASH}{rank.high}"


def _number(
    estimate: Estimate | None, factor: float, digits: int, note: object = None, best: bool = False
) -> Markup:
    if estimate is None:
        return tag("td", DASH, class_="n")
    half = f" ± {(estimate.high - estimate.mean) * factor:.{digits}f}" if estimate.n > 1 else ""
    return tag(
        "td",
        tag("b", "● ", aria_label="may be the best") if best else None,
        f"{estimate.mean * factor:.{digits}f}{half}",
        note,
        class_="n best" if best else "n",
        data_v=f"{estimate.mean:.6g}",
    )


def _difference(d: Difference) -> Markup:
    if not d.n:
        return tag("td", DASH, class_="n")
    low, mean, high = (decimal(100 * value, 2, sign=True) for value in (d.low, d.mean, d.high))
    ends = f" [{low}, {high}]" if math.isfinite(d.low) else ""
    return tag("td", f"{mean}{ends}", class_="n", data_v=f"{d.mean:.6g}")


def _higher(wins: int, ties: int, n: int) -> str:
    """Return on how many seeds one is higher.

    >>> _higher(2, 0, 3), _higher(0, 1, 1)
    ('2 of 3', '0 of 1, 1 equal')
    """
    return f"{wins} of {n}" + (f", {ties} equal" if ties else "")


def _p(p: float) -> str:
    return "< .0001" if p < 0.0001 else f"{p:.4f}".removeprefix("0")


def _where(budget: int) -> str:
    return f"within {size(budget)}" if budget else "without a budget"


def _sorting(text: str, words: bool = False) -> Markup:
    """Return a heading that a script makes a button of."""
    return tag("th", text, scope="col", data_sort="text" if words else "number")


def _fraction(value: float) -> Markup:
    return _plain(value, 1, 100.0)


def _plain(value: float, digits: int, factor: float = 1.0) -> Markup:
    if value is None or not math.isfinite(value):
        return tag("td", DASH, class_="n")
    return tag("td", decimal(value * factor, digits), class_="n", data_v=f"{value:.6g}")


def _bytes(value: float) -> Markup:
    if value is None or not math.isfinite(value):
        return tag("td", DASH, class_="n")
    return tag("td", size(value), class_="n", data_v=int(value))
