"""Named values of one strategy over experiences, or over time: a line each, named at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cl_engine.reports.page.charts.drawing import COLOURS, LETTER, ROOM, Spec, moved_apart, short, whole_ticks

MOST = 60  # points of a line; of longer ones every k-th and the last
WIDE, HIGH = 380, 210
GAP = 12  # pixels between names
NUMBER = "abs(datum.value) >= 0.001 || !datum.value ? format(datum.value, '.4~r') : format(datum.value, '.2~e')"

Line = Sequence[tuple[float, float]]  # experience, from 1, and value
Rule = tuple[float, str, bool]  # where a vertical line stands, what happens there, whether it is dashed


def series(
    lines: Mapping[str, Line],
    title: str,
    name: str,
    log: bool = False,
    *,
    along: str = "experience",
    rules: Sequence[Rule] = (),
    most: int = MOST,
    high: int = HIGH,
) -> Spec:
    """Return the chart of some lines.

    Args:
        lines: by name, in the order of their colours.
        title: of the vertical axis.
        name: of the strategy, for the words of a point.
        log: draw a logarithmic axis, on which a value of 0 or below has no place.
        along: title of the horizontal axis.
        rules: vertical lines.
        most: points of a line; of longer ones every k-th and the last are drawn.
        high: pixels, at least.
    """
    drawn = {key: _thinned([(x, y) for x, y in line if y > 0 or not log], most) for key, line in lines.items()}
    points = [
        {"k": k, "x": x, "y": y, "words": f"{name} \u00b7 {key} \u00b7 {along} {x:,} \u00b7 {y:.4g}"}
        for k, (key, line) in enumerate(drawn.items())
        for x, y in line
    ]
    low, top = _domain([y for line in drawn.values() for _, y in line], log)
    ends = [(k, key, line[-1][1]) for k, (key, line) in enumerate(drawn.items()) if line]
    high_enough = max(high, GAP * (len(ends) + 1))
    wanted = [_place(y, low, top, log) * high_enough for *_, y in ends]
    heights = moved_apart(wanted, GAP, 0, high_enough)
    shorter = short(drawn)
    names = [
        {"k": k, "label": shorter[key], "y": _value(at / high_enough, low, top, log)}
        for (k, key, _), at in zip(ends, heights, strict=True)
    ]
    y: Spec = {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": [low, top], "nice": False, "type": "log" if log else "linear"},
        "axis": {"title": title, "tickCount": 5, "labelExpr": NUMBER, **_ticks(low, top, log)},
    }
    places = [x for line in drawn.values() for x, _ in line] or [1]
    first, last = min([1, *places, *(x for x, *_ in rules)]), max([min(places) + 1, *places])
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [first, last], "nice": False, "padding": 8},
        "axis": {
            "title": along,
            "values": whole_ticks(first, last),
            "format": ",d",
            "labelOverlap": True,
        },
    }
    colour = _channel(len(drawn), [f"var(--k{k % COLOURS})" for k in range(len(drawn))])
    dash = _channel(len(drawn), [[1, 0] if k < COLOURS else [4, 2] for k in range(len(drawn))])
    data = {"values": points}
    room = 24 + int(LETTER * max((len(str(n["label"])) for n in names), default=0))
    return {
        "width": WIDE,
        "height": high_enough,
        "padding": {**ROOM, "right": room},
        "layer": [
            *_rules(rules, name, x),
            {
                "data": data,
                "mark": {"type": "line", "strokeWidth": 1.6, "aria": False},
                "encoding": {"x": x, "y": y, "stroke": colour, "strokeDash": dash},
            },
            {
                "data": data,
                "mark": {"type": "point", "size": 20, "filled": True, "opacity": 1},
                "encoding": {"x": x, "y": y, "fill": colour, "description": {"field": "words"}},
            },
            {
                "data": {"values": names},
                "mark": {"type": "text", "align": "left", "fontSize": 10, "fill": "var(--ink)", "aria": False},
                "encoding": {
                    "x": {"value": WIDE + 16},
                    "y": y,
                    "text": {"field": "label"},
                },
            },
            {
                "data": {"values": names},
                "mark": {"type": "square", "size": 40, "opacity": 1, "aria": False},
                "encoding": {
                    "x": {"value": WIDE + 9},
                    "y": y,
                    "fill": colour,
                },
            },
        ],
    }


def _channel(count: int, values: Sequence[object]) -> Spec:
    scale = {"domain": list(range(count)), "range": list(values)}
    return {"field": "k", "type": "nominal", "scale": scale, "legend": None}


def _rules(rules: Sequence[Rule], name: str, x: Spec) -> list[Spec]:
    """Return the vertical lines, which stand below all others."""
    layers: list[Spec] = []
    for dashed, dash in ((False, [1, 0]), (True, [3, 3])):
        values = [{"x": at, "words": f"{name} \u00b7 {what}"} for at, what, own in rules if own == dashed]
        mark = {"type": "rule", "stroke": "var(--ink)", "strokeDash": dash, "opacity": 0.55}
        encoding = {"x": x, "description": {"field": "words"}}
        layers += [{"data": {"values": values}, "mark": mark, "encoding": encoding}] if values else []
    return layers


def _thinned(line: Line, most: int) -> Line:
    return line[:: -(-(-len(line) // most) or 1)][::-1]


def _domain(values: Sequence[float], log: bool) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (1.0, 2.0)
    if log:
        return low / 1.2, high * 1.2
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return (max(0.0, low - pad) if low >= 0 else low - pad), high + pad


def _place(value: float, low: float, high: float, log: bool) -> float:
    """Return where a value stands on the axis, from 0 to 1."""
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def _value(place: float, low: float, high: float, log: bool) -> float:
    """Return the value that stands at a place of the axis, from 0 to 1."""
    return low * (high / low) ** place if log else low + (high - low) * place


def _ticks(low: float, high: float, log: bool) -> Spec:
    """Return the powers of ten as ticks of a logarithmic axis that has two of them or more."""
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1) if log else range(0)
    return {"values": [10.0**power for power in powers]} if len(powers) > 1 else {}
