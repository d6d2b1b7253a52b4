"""A compatibility matrix as a heat map with its numbers, what fails marked in words and by a frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cl_engine.reports.page.charts.drawing import ROOM, Spec

MOST = 30  # models that are drawn; of more every k-th and the last
NUMBERED = 12  # models up to which every field says its number
FIELD, SMALL = 46, 14  # pixels of a field with a number, and of one without
Rows = Sequence[Sequence[float]]
Marks = Mapping[str, tuple[str, Collection[tuple[int, int]]]]  # of a query model and a gallery model, from 0


def triangle(matrix: Rows, marks: Marks, name: str) -> Spec:
    """Return the map: a row for each model that embeds queries, a column for each gallery; darker is better.

    Args:
        matrix: row t: scores of queries by model t in the galleries of models 0 to t, fractions.
        marks: by sign what it says of a field, and the fields that have it; the first sign has a frame too.
        name: of the strategy, for the words of a field.
    """
    step = -(-len(matrix) // MOST) or 1
    places = list(range(len(matrix), 0, -step))[::-1]
    framed = next(iter(marks), "")
    fields = [_field(matrix, marks, framed, name, t, k) for t in places for k in places if k <= t]
    side = (FIELD if len(places) <= NUMBERED else SMALL) * len(places)
    named = places[:: max(1, len(places) // 12)]
    axis = {"labelAngle": 0, "values": named, "ticks": False, "domain": False, "grid": False}
    scale = {"domain": places, "paddingInner": 0.06}
    x = {"field": "x", "type": "ordinal", "scale": scale, "axis": {**axis, "title": "gallery by model"}}
    y = {"field": "y", "type": "ordinal", "scale": scale, "axis": {**axis, "title": "queries by model"}}
    values = [field["v"] for field in fields]
    shade = {"domain": [min(values), max(min(values) + 1e-9, *values)], "range": [0.06, 0.55]}
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "fill": "var(--accent)"},
            "encoding": {
                "x": x,
                "y": y,
                "opacity": {"field": "v", "type": "quantitative", "legend": None, "scale": shade},
                "description": {"field": "words"},
            },
        },
        {
            "transform": [{"filter": "datum.framed"}],
            "mark": {"type": "rect", "fill": None, "stroke": "var(--peak)", "strokeWidth": 2, "aria": False},
            "encoding": {"x": x, "y": y},
        },
    ]
    if len(places) <= NUMBERED:
        layers += [_text(x, y, "text", -5, 11), _text(x, y, "signs", 10, 10)]
    return {
        "width": side,
        "height": side,
        "padding": ROOM,
        "data": {"values": fields},
        "layer": layers,
    }


def _field(matrix: Rows, marks: Marks, framed: str, name: str, t: int, k: int) -> Spec:
    score = matrix[t - 1][k - 1]
    own = [sign for sign, (_, fails) in marks.items() if (t - 1, k - 1) in fails]
    test = "self-test" if t == k else f"cross-test, self-test {100 * matrix[k - 1][k - 1]:.2f} %"
    said = "".join(f" \u00b7 {marks[sign][0]}" for sign in own)
    whose = f"queries by model {t}, gallery by model {k}"
    return {
        "x": k,
        "y": t,
        "v": score,
        "text": f"{100 * score:.1f}",
        "signs": " ".join(own),
        "framed": framed in own,
        "words": f"{name} \u00b7 {whose} \u00b7 {100 * score:.2f} % \u00b7 {test}{said}",
    }


def _text(x: Spec, y: Spec, field: str, down: int, size: int) -> Spec:
    return {
        "mark": {"type": "text", "fontSize": size, "dy": down, "fill": "var(--ink)", "aria": False},
        "encoding": {"x": x, "y": y, "text": {"field": field}},
    }
