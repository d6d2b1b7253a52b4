"""Every strategy in every scenario, as a heat map with its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cl_engine.reports.page.charts.drawing import LABEL, ROOM, Spec

FIELD = (34, 15)  # pixels


def grid(values: Mapping[str, Mapping[str, float]], scenarios: Sequence[str], title: str) -> Spec:
    """Return the map: a row a strategy, from top to bottom as given, a column a scenario, the darker the better.

    Args:
        values: fractions by strategy and scenario; what is not there stays empty.
        scenarios: names of the columns, from left to right.
        title: what the numbers are.
    """
    fields = [
        {
            "strategy": label,
            "scenario": name,
            "v": value,
            "text": f"{100 * value:.0f}",
            "words": f"{label} \u00b7 {name} \u00b7 {100 * value:.1f} %",
        }
        for label, row in values.items()
        for name, value in row.items()
    ]
    shared = {"ticks": False, "domain": False, "title": None, "labelLimit": 8 * LABEL}
    x = {
        "field": "scenario",
        "type": "nominal",
        "scale": {"domain": list(scenarios)},
        "axis": {**shared, "orient": "top", "labelAngle": -45},
    }
    y = {"field": "strategy", "type": "nominal", "scale": {"domain": list(values)}, "axis": shared}
    shade = {
        "field": "v",
        "type": "quantitative",
        "legend": None,
        "scale": {"domain": [0, 1], "range": [0.02, 0.8]},
    }
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "fill": "var(--accent)"},
            "encoding": {"x": x, "y": y, "opacity": shade, "description": {"field": "words"}},
        },
        {
            "mark": {"type": "text", "fontSize": 9, "fill": "var(--ink)", "aria": False},
            "encoding": {"x": x, "y": y, "text": {"field": "text"}},
        },
    ]
    return {
        "title": title,
        "width": FIELD[0] * len(scenarios),
        "height": FIELD[1] * len(values),
        "data": {"values": fields},
        "layer": layers,
        "padding": ROOM,
    }
