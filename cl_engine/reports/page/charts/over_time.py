"""Accuracy while the stream goes on: after each experience, and after each evaluation of an online stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cl_engine.reports.page.charts.drawing import (
    OWN_FILL,
    ROOM,
    Spec,
    moved_apart,
    percent_axis,
    scales,
    short,
    whole_ticks,
)
from cl_engine.reports.page.palette import Look

MOST = 60  # points of a line; of longer ones every k-th and the last


def over_time(
    rows: Any, looks: Mapping[str, Look], strong: set[str], along: str, title: str, plot: tuple[int, int]
) -> Spec:
    """Return mean lines over ``along`` (a column of ``rows``) with the accuracy in percent.

    Args:
        rows: a frame with label, accuracy, seeds, and ``along``.
        looks: order and look of all entrants.
        strong: who is drawn at full strength.
        along: the column of the horizontal axis.
        title: its title.
        plot: width and height in pixels.
    """
    place = {label: i for i, label in enumerate(looks)}
    points: list[Spec] = []
    ends: list[tuple[str, float]] = []
    for label, own in rows.groupby("label", sort=False):
        own = own.sort_values(along)
        step = -(-len(own) // MOST)
        chosen = own.iloc[::-1].iloc[::step].iloc[::-1]
        loud = label in strong
        for x, accuracy, seeds in zip(chosen[along], chosen["accuracy"], chosen["seeds"], strict=True):
            points.append(
                {
                    "i": place[label],
                    "x": float(x),
                    "y": round(100 * accuracy, 2),
                    "loud": loud,
                    "words": f"{' '.join(label.split())} · {title.split(',')[0]} {int(x):,} · "
                    f"accuracy {100 * accuracy:.1f} % (mean of {int(seeds)})",
                }
            )
        if loud and len(chosen):
            ends.append((label, points[-1]["y"]))
    y = percent_axis([p["y"] for p in points], "accuracy on classes seen, %")
    low, high = y["scale"]["domain"]
    heights = moved_apart([end for _, end in ends], (high - low) * 13 / plot[1], low, high)
    shorter = short(looks)
    names = [
        {"i": place[label], "label": shorter[label], "y": h} for (label, _), h in zip(ends, heights, strict=True)
    ]
    ends_of_x = [p["x"] for p in points] or [1.0]
    first = 0.0 if along == "samples" else min(ends_of_x)
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"zero": along == "samples", "nice": False, "padding": 8},
        "axis": {
            "title": title,
            "values": whole_ticks(first, max(ends_of_x)),
            "format": ",d",
            "labelOverlap": True,
        },
    }
    look = scales(looks)
    lines = {"x": x, "y": y, "stroke": look["line"], "strokeDash": look["dash"]}
    return {
        "width": plot[0],
        "height": plot[1],
        "padding": ROOM,
        "resolve": OWN_FILL,
        "layer": [
            {
                "data": {"values": [p for p in points if not p["loud"]]},
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.35, "aria": False},
                "encoding": lines,
            },
            {
                "data": {"values": [p for p in points if p["loud"]]},
                "mark": {"type": "line", "strokeWidth": 1.8, "aria": False},
                "encoding": lines,
            },
            {
                "data": {"values": [p for p in points if p["loud"]]},
                "mark": {"type": "point", "size": 24, "strokeWidth": 1.2, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "stroke": look["line"],
                    "fill": look["fill"],
                    "shape": look["shape"],
                    "description": {"field": "words"},
                },
            },
            {
                "data": {"values": names},
                "mark": {"type": "text", "align": "left", "fontSize": 11, "aria": False},
                "encoding": {
                    "x": {"value": plot[0] + 18},
                    "y": y,
                    "text": {"field": "label"},
                    "fill": look["text"],
                },
            },
            {
                "data": {"values": names},
                "mark": {"type": "point", "size": 36, "strokeWidth": 1.5, "aria": False, "opacity": 1},
                "encoding": {
                    "x": {"value": plot[0] + 10},
                    "y": y,
                    "stroke": look["line"],
                    "fill": look["fill"],
                    "shape": look["shape"],
                },
            },
        ],
    }
