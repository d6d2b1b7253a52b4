"""Accuracy against the bytes that were held, and which points no other beats on both."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cl_engine.reports.page.charts.curves import WIDE, words
from cl_engine.reports.page.charts.drawing import OWN_FILL, ROOM, Spec, byte_axis, percent_axis, scales, short
from cl_engine.reports.page.contest import METRICS, Contest
from cl_engine.reports.page.palette import Look
from cl_engine.reports.text import size


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
    ends = {(p["i"], p["x"], p["y"]): p for p in front}  # one that needs no more within larger budgets has one name
    names = [{**p, "label": short(list(looks)[p["i"]])} for p in ends.values()]
    layers.append(
        {
            "data": {"values": names},
            "mark": {"type": "text", "align": "left", "dx": 7, "dy": 10, "fontSize": 11, "aria": False},
            "encoding": {"x": x, "y": y, "text": {"field": "label"}, "fill": look["text"]},
        }
    )
    return {"width": plot[0], "height": plot[1], "padding": ROOM, "resolve": OWN_FILL, "layer": layers}
