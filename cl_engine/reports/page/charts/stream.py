"""The stream as a picture: how many samples each experience brings, and which classes they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cl_engine.reports.page.charts.drawing import ROOM, Spec, whole_ticks

MOST = 3_000  # classes times experiences that are drawn one by one; of more the sizes alone
WIDTH = 560


def stream(experiences: Sequence[Mapping[str, Any]]) -> Spec:
    """Return the chart of a result's ``stream.experiences``; classes from top to bottom by first exposure."""
    order = list(dict.fromkeys(label for e in experiences for label in e["new_classes"]))
    row = {label: k for k, label in enumerate(order)}
    bars = [
        {"x": k + 1, "n": e["samples"], "words": f"experience {k + 1} · {e['samples']:,} samples"}
        for k, e in enumerate(experiences)
    ]
    cells = [
        {
            "x": k + 1,
            "y": row[label],
            "new": label in e["new_classes"],
            "words": f"experience {k + 1} · class {label}"
            + (" for the first time" if label in e["new_classes"] else ""),
        }
        for k, e in enumerate(experiences)
        for label in e["classes"]
        if label in row
    ]
    places = list(range(1, len(experiences) + 1))
    named = places[:: max(1, len(places) // 10)]
    x = {"field": "x", "type": "ordinal", "scale": {"domain": places, "paddingInner": 0.08}}
    width = min(WIDTH, 40 * len(experiences))
    sizes = {
        "data": {"values": bars},
        "width": width,
        "height": 60,
        "mark": {"type": "bar", "fill": "var(--k1)"},
        "encoding": {
            "x": {**x, "axis": None},
            "y": {
                "field": "n",
                "type": "quantitative",
                "axis": {
                    "title": "samples",
                    "values": whole_ticks(0, max((bar["n"] for bar in bars), default=1), 4),
                    "format": ",d",
                },
            },
            "description": {"field": "words"},
        },
    }
    title = {"title": "experience", "values": named, "labelAngle": 0}
    if len(cells) > MOST:
        sizes["encoding"]["x"]["axis"] = title  # type: ignore[index]
        return {**sizes, "padding": ROOM}
    classes = {
        "data": {"values": cells},
        "width": width,
        "height": min(320, max(60, 12 * len(order))),
        "mark": {"type": "rect"},
        "encoding": {
            "x": {**x, "axis": title},
            "y": {
                "field": "y",
                "type": "ordinal",
                "scale": {"domain": list(range(len(order))), "paddingInner": 0.06},
                "axis": {
                    "title": "class",
                    "labelExpr": f"{json.dumps([str(label) for label in order])}[datum.value]",
                    "values": list(range(0, len(order), max(1, len(order) // 12))),
                },
            },
            "fill": {
                "field": "new",
                "type": "nominal",
                "scale": {"domain": [True, False], "range": ["var(--k0)", "var(--k2)"]},
                "legend": None,
            },
            "description": {"field": "words"},
        },
    }
    return {"vconcat": [sizes, classes], "spacing": 6, "padding": ROOM}
