"""Accuracy against the bytes that were held, and which points no other beats on both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cl_engine.reports.page.charts.curves import LINE_HEIGHT, WIDE, words
from cl_engine.reports.page.charts.drawing import (
    LETTER,
    OWN_FILL,
    ROOM,
    Spec,
    byte_axis,
    percent_axis,
    scales,
    short,
)
from cl_engine.reports.page.contest import METRICS, Contest
from cl_engine.reports.page.palette import Look
from cl_engine.reports.text import size

NAME = (7, 10)  # pixels from a point to its name
MARK = 4  # pixels, half of one


def pareto(
    contest: Contest,
    looks: Mapping[str, Look],
    counted: str,
    marks: Mapping[tuple[str, int], str],
    plot: tuple[int, int] = WIDE,
) -> Spec:
    """Return the chart; ``counted`` is the policy that counts the bytes, whatever policy limited the run.

    Args:
        contest: the standings.
        looks: order and look of all entrants.
        counted: ``full`` or ``paper``.
        plot: width and height in pixels.
        marks: of each point ``front``, ``open`` (not separable from it) or ``out``.
    """
    place = {label: i for i, label in enumerate(looks)}
    points: list[Spec] = []
    amounts = [s.held[counted] for key, s in contest.standings.items() if key in marks]
    least = min((held for held in amounts if held > 0), default=2.0) / 2  # where nothing stands on a log axis
    for (label, budget), standing in contest.standings.items():
        held = standing.held.get(counted, math.nan)
        if standing.estimate is None or (label, budget) not in marks:
            continue
        mark = marks[label, budget]
        points.append(
            {
                "i": place[label],
                "x": math.log2(max(held, least)),
                "y": round(100 * standing.estimate.mean, 3),
                "mark": mark,
                "words": words(label, budget, standing, contest.metric)
                + f" · held at most {size(held)} ({counted}) · "
                + {"front": "on the front", "open": "not separable from the front", "out": "beaten"}[mark],
            }
        )
    x = byte_axis([2 ** p["x"] for p in points], f"held at most, counted as {counted}", width=plot[0])
    if 0 in amounts:
        axis = x["axis"]
        axis["values"] = [math.log2(least), *(v for v in axis["values"] if v > math.log2(least) + 0.3)]
        axis["labelExpr"] = f"datum.value < {math.log2(least) + 0.1} ? '0 B' : ({axis['labelExpr']})"
    y = percent_axis([p["y"] for p in points], f"{METRICS[contest.metric]}, %")
    look = scales(looks)
    front = sorted((p for p in points if p["mark"] == "front"), key=lambda p: p["x"])
    layers: list[Spec] = [
        {
            "data": {"values": front},
            "mark": {"type": "line", "interpolate": "step-after", "stroke": "var(--rule)", "aria": False},
            "encoding": {"x": x, "y": y},
        }
    ]
    for mark, area, fill in (
        ("out", 14, look["line"]),
        ("front", 60, look["line"]),
        ("open", 60, {"value": "transparent"}),
    ):
        layers.append(
            {
                "data": {"values": [p for p in points if p["mark"] == mark]},
                "mark": {"type": "point", "size": area, "strokeWidth": 1.5, "opacity": 0.5 if mark == "out" else 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "stroke": look["line"],
                    "shape": look["shape"],
                    "fill": fill,
                    "description": {"field": "words"},
                },
            }
        )
    starts = [p for k, p in enumerate(front) if not k or p["i"] != front[k - 1]["i"]]  # a stretch has one name
    shown = [*short(looks).values()]
    names = [{**p, "label": shown[p["i"]]} for p in starts]
    layers.append(
        {
            "data": {"values": _apart(names, points, (x["scale"]["domain"], y["scale"]["domain"]), plot)},
            "mark": {"type": "text", "align": "left", "dx": NAME[0], "fontSize": 11, "aria": False},
            "encoding": {"x": x, "y": y, "text": {"field": "label"}, "fill": look["text"]},
        }
    )
    return {"width": plot[0], "height": plot[1], "padding": ROOM, "resolve": OWN_FILL, "layer": layers}


def _apart(
    names: Sequence[Spec],
    points: Sequence[Spec],
    domains: tuple[Sequence[float], Sequence[float]],
    plot: tuple[int, int],
) -> list[Spec]:
    """Return the names at heights where none covers another or a mark: below its point, else above, else lower."""
    (left, right), (low, high) = domains
    marks = [((p["x"] - left) / (right - left) * plot[0], (high - p["y"]) / (high - low) * plot[1]) for p in points]
    taken = [(x - MARK, x + MARK, y - MARK, y + MARK) for x, y in marks]  # left, right, top, bottom; pixels
    placed: list[Spec] = []
    for name in names:
        start = (name["x"] - left) / (right - left) * plot[0] + NAME[0]
        end = start + LETTER * len(name["label"])
        point = (high - name["y"]) / (high - low) * plot[1]
        for turn in range(len(taken) + 2):
            middle = point + (-NAME[1] if turn == 1 else NAME[1] + LINE_HEIGHT * max(0, turn - 1))
            top, bottom = middle - LINE_HEIGHT / 2, middle + LINE_HEIGHT / 2
            if not any(start < r and x < end and top < b and y < bottom for x, r, y, b in taken):
                break
        taken.append((start, end, top, bottom))
        placed.append({**name, "y": high - middle / plot[1] * (high - low)})
    return placed
