"""Accuracy against the budget: means over seeds with their intervals, names at the ends of the lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from cl_engine.reports.page.charts.drawing import (
    OWN_FILL,
    ROOM,
    Spec,
    byte_axis,
    moved_apart,
    percent_axis,
    scales,
    short,
)
from cl_engine.reports.page.contest import METRICS, Contest, Standing
from cl_engine.reports.page.palette import Look
from cl_engine.reports.text import size

WIDE, HALF, NARROW = (640, 380), (470, 340), (215, 300)  # pixels: alone, beside another, on a telephone
LINE_HEIGHT = 13  # pixels of a name
TITLED = 140  # pixels of height that the title of an axis needs
WIDE_GAP = 0.33  # of the range


def curves(contest: Contest, looks: Mapping[str, Look], plot: tuple[int, int] = WIDE) -> Spec:
    """Return the chart of one policy and one metric; ``looks`` gives order and look of all entrants.

    Where a wide gap parts the entrants, those above and those below it have a panel each: else the difference of
    the good ones drowns in their distance to the bad ones.
    """
    strong = contest.emphasised()
    place = {label: i for i, label in enumerate(looks)}
    points: list[Spec] = []
    ends: list[tuple[str, float]] = []
    for entrant in contest.entrants:
        row = _row(contest, entrant.label)
        loud = entrant.label in strong
        for budget, standing in row:
            if not loud and plot == NARROW:
                continue  # no room for what cannot be the best
            points.append(_point(entrant.label, place[entrant.label], budget, standing, contest.metric, loud))
        if row and loud:
            ends.append((entrant.label, row[-1][1].estimate.mean * 100 if row[-1][1].estimate else 0.0))
    below = _below_a_gap(points)
    if not below:
        return {**_panel(contest, looks, points, ends, plot), "padding": ROOM}
    panels = []
    for lower in (False, True):
        own = [p for p in points if (p["i"] in below) == lower]
        share = len({p["i"] for p in own}) / len({p["i"] for p in points})
        high = round(plot[1] * min(0.65, max(0.35, share)))
        named = [end for end in ends if (place[end[0]] in below) == lower]
        panels.append(_panel(contest, looks, own, named, (plot[0], high), named_axis=lower))
    panels[1]["title"] = {
        "text": "nothing lies between; the scale is another",
        "fontSize": 10,
        "fontStyle": "italic",
    }
    return {"vconcat": panels, "spacing": 10, "padding": ROOM}


def _below_a_gap(points: Sequence[Spec]) -> set[int]:
    """Return who lies below the widest gap between intervals, where it is wide and nobody is on both sides."""
    edges: list[tuple[float, float]] = []  # stretches that are covered, ascending
    for low, high in sorted((p["low"], p["high"]) for p in points):
        if edges and low <= edges[-1][1]:
            edges[-1] = (edges[-1][0], max(high, edges[-1][1]))
        else:
            edges.append((low, high))
    gaps = [(after[0] - before[1], before[1]) for before, after in pairwise(edges)]
    size_of, floor = max(gaps, default=(0.0, 0.0))
    if not gaps or size_of < WIDE_GAP * (edges[-1][1] - edges[0][0]):
        return set()
    below, above = ({p["i"] for p in points if (p["y"] <= floor) == side} for side in (True, False))
    return set() if below & above else below


def _panel(
    contest: Contest,
    looks: Mapping[str, Look],
    points: Sequence[Spec],
    ends: Sequence[tuple[str, float]],
    plot: tuple[int, int],
    named_axis: bool = True,
) -> Spec:
    width, height = plot
    place = {label: i for i, label in enumerate(looks)}
    shown = [p for p in points if p["loud"]]
    title = f"{METRICS[contest.metric]}, %" if height >= TITLED else "%"
    y = percent_axis([v for p in points for v in (p["low"], p["high"])], title)
    low, high = y["scale"]["domain"]
    gap = (high - low) * LINE_HEIGHT / height
    heights = moved_apart([end for _, end in ends], gap, low, high)
    shorter = short(looks)
    names = [
        {"i": place[label], "label": shorter[label], "y": h} for (label, _), h in zip(ends, heights, strict=True)
    ]
    x = byte_axis([b for b in contest.budgets if b], "budget", [b for b in contest.budgets if b], width)
    if not named_axis:
        x["axis"] |= {"title": None, "labels": False, "ticks": False}
    look = scales(looks)
    lines = {"x": x, "y": y, "stroke": look["line"], "strokeDash": look["dash"], "detail": {"field": "i"}}
    return {
        "width": width,
        "height": height,
        "resolve": OWN_FILL,
        "layer": [
            {
                "data": {"values": [p for p in shown if p["n"] > 1]},
                "mark": {"type": "area", "opacity": 0.13, "aria": False},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "fill": look["line"]},
            },
            {
                "data": {"values": [p for p in points if not p["loud"]]},
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.35, "aria": False},
                "encoding": lines,
            },
            {
                "data": {"values": shown},
                "mark": {"type": "line", "strokeWidth": 2, "aria": False},
                "encoding": lines,
            },
            {
                "data": {"values": points},
                "mark": {"type": "point", "size": 42, "strokeWidth": 1.5, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "stroke": look["line"],
                    "fill": look["fill"],
                    "shape": look["shape"],
                    "size": {"condition": {"test": "datum.loud", "value": 42}, "value": 9},
                    "opacity": {"condition": {"test": "datum.loud", "value": 1}, "value": 0.5},
                    "description": {"field": "words"},
                },
            },
            {
                "data": {"values": names},
                "mark": {"type": "text", "align": "left", "fontSize": 11, "aria": False, "clip": False},
                "encoding": {
                    "x": {"value": width + 18},
                    "y": y,
                    "text": {"field": "label"},
                    "fill": look["text"],
                },
            },
            {  # beside each name its swatch: the text's colour need not be the line's
                "data": {"values": names},
                "mark": {"type": "point", "size": 40, "strokeWidth": 1.5, "aria": False, "opacity": 1},
                "encoding": {
                    "x": {"value": width + 10},
                    "y": y,
                    "stroke": look["line"],
                    "fill": look["fill"],
                    "shape": look["shape"],
                },
            },
        ],
    }


def _row(contest: Contest, label: str) -> list[tuple[int, Standing]]:
    """Return an entrant's standings by budget; a reference without one is the same within all."""
    bound = any(e.label == label and e.reference for e in contest.entrants)
    free = contest.standings.get((label, 0)) if bound else None
    row = [(budget, contest.standings.get((label, budget), free)) for budget in contest.budgets]
    return [(budget, standing) for budget, standing in row if standing and standing.estimate]


def _point(label: str, i: int, budget: int, standing: Standing, metric: str, loud: bool) -> Spec:
    estimate = standing.estimate
    assert estimate is not None
    mean, low, high = (100 * v for v in (estimate.mean, estimate.low, estimate.high))
    several = estimate.n > 1
    return {
        "i": i,
        "x": math.log2(budget) if budget else 0.0,
        "y": round(mean, 3),
        "low": round(max(0.0, low), 3) if several else round(mean, 3),
        "high": round(min(100.0, high), 3) if several else round(mean, 3),
        "n": estimate.n,
        "loud": loud,
        "words": words(label, budget, standing, metric),
    }


def words(label: str, budget: int, standing: Standing, metric: str) -> str:
    """Return what a point says under the pointer and to a screen reader."""
    estimate, rank = standing.estimate, standing.rank
    assert estimate is not None
    where = size(budget) if budget else "no budget"
    text = f"{' '.join(label.split())} · {where} · {METRICS[metric]} {estimate.mean * 100:.1f} %"
    if estimate.n > 1:
        text += f" ± {(estimate.high - estimate.mean) * 100:.1f} (95 %, {estimate.n} seeds)"
    else:
        text += " (one seed)"
    if rank and rank.low:
        text += f" · rank {rank.low}" + (f" to {rank.high}" if rank.high != rank.low else "")
        text += ", may be the best" if rank.may_be_best else ""
    return text + " · seeds " + ", ".join(f"{v * 100:.1f}" for v in standing.seeds.values())
