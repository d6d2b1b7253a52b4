"""How alike branches are, as a heat map with its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cl_engine.reports.page.charts.drawing import ROOM, Spec

MOST = 40  # branches that are drawn; of more every k-th and the last
NUMBERED = 12  # branches up to which every field says its number
FIELD = 26  # pixels of a field, at most
WIDE = 320


def heat(layers: Sequence[Sequence[Sequence[float | None]]], names: Sequence[str], name: str) -> Spec:
    """Return one map a layer, side by side.

    Args:
        layers: of each layer the values of every two branches, a square.
        names: of the layers.
        name: of the strategy, for the words of a field.
    """
    values = [v for layer in layers for row in layer for v in row if v is not None]
    low = min(math.floor(10 * min(values, default=0.0)) / 10, 0.9)
    return {
        "hconcat": [_map(layer, title, low, name) for layer, title in zip(layers, names, strict=True)],
        "spacing": 18,
        "padding": ROOM,
    }


def _map(layer: Sequence[Sequence[float | None]], title: str, low: float, name: str) -> Spec:
    step = -(-len(layer) // MOST) or 1
    places = list(range(len(layer), 0, -step))[::-1]
    fields = [
        {
            "x": j,
            "y": i,
            "v": value,
            "text": f"{value:.2f}",
            "words": f"{name} \u00b7 {title} \u00b7 branches {i} and {j} \u00b7 CKA {value:.3f}",
        }
        for i in places
        for j in places
        if (value := layer[i - 1][j - 1]) is not None
    ]
    side = min(WIDE, FIELD * len(places))
    axis = {"labelAngle": 0, "values": places[:: max(1, len(places) // 10)], "ticks": False, "domain": False}
    x = {"field": "x", "type": "ordinal", "scale": {"domain": places}, "axis": {**axis, "title": "branch"}}
    y = {"field": "y", "type": "ordinal", "scale": {"domain": places}, "axis": {**axis, "title": "branch"}}
    shade = {"field": "v", "type": "quantitative", "legend": None}
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "fill": "var(--accent)"},
            "encoding": {
                "x": x,
                "y": y,
                "opacity": {**shade, "scale": {"domain": [low, 1], "range": [0.04, 0.75], "clamp": True}},
                "description": {"field": "words"},
            },
        }
    ]
    if len(places) <= NUMBERED:
        layers.append(
            {
                "mark": {"type": "text", "fontSize": 9, "fill": "var(--ink)", "aria": False},
                "encoding": {"x": x, "y": y, "text": {"field": "text"}},
            }
        )
    return {"title": title, "width": side, "height": side, "data": {"values": fields}, "layer": layers}
