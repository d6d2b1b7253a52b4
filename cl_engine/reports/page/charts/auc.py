"""Areas under the curves, by width: one point a strategy, over linear and over log budgets."""

from __future__ import annotations

from collections.abc import Mapping

from cl_engine.reports.page.charts.drawing import ROOM, Spec, scales, short
from cl_engine.reports.page.contest import METRICS
from cl_engine.reports.page.palette import Look
from cl_engine.reports.page.whole_range import Area

ROW, PANEL = 20, 230  # pixels
TITLES = {"auc_norm": "linear budget", "auc_log_norm": "log budget"}


def auc(found: Mapping[str, Area], looks: Mapping[str, Look], metric: str) -> Spec:
    """Return the chart: means over seeds and their intervals, those with values at all budgets, the highest first.

    Args:
        found: the areas by label.
        looks: order and look of all entrants.
        metric: whose mean height it is.
    """
    place = {label: i for i, label in enumerate(looks)}
    whole = {label: a.estimates for label, a in found.items() if a.complete and a.estimates}
    labels = sorted(whole, key=lambda label: -whole[label]["auc_norm"].mean)
    look = scales(looks)
    names = short(looks)
    rows = {
        scale: [
            {
                "i": place[label],
                "row": labels.index(label),
                "label": names[label],
                "x": round(100 * estimates[scale].mean, 3),
                "low": round(100 * max(0.0, estimates[scale].low), 3),
                "high": round(100 * min(1.0, estimates[scale].high), 3),
                "words": f"{' '.join(label.split())} · mean height over {TITLES[scale]} "
                f"{100 * estimates[scale].mean:.2f} %",
            }
            for label, estimates in whole.items()
        ]
        for scale in TITLES
    }
    panels: list[Spec] = []
    for scale, values in rows.items():
        several = [v for v in values if whole[labels[int(v["row"])]][scale].n > 1]  # type: ignore[call-overload]
        y: Spec = {"field": "row", "type": "ordinal", "scale": {"domain": [*range(len(labels))]}, "axis": None}
        x = {
            "field": "x",
            "type": "quantitative",
            "scale": {"zero": False, "padding": 10},
            "axis": {"title": f"mean {METRICS[metric]}, {TITLES[scale]}, %", "tickCount": 5, "format": "~f"},
        }
        rule = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "stroke": look["line"]}
        point = {key: look[channel] for key, channel in (("stroke", "line"), ("fill", "fill"), ("shape", "shape"))}
        layers: list[Spec] = [
            {
                "data": {"values": several},
                "mark": {"type": "rule", "strokeWidth": 1.5, "aria": False},
                "encoding": rule,
            },
            {
                "data": {"values": values},
                "mark": {"type": "point", "size": 42, "strokeWidth": 1.5, "opacity": 1},
                "encoding": {"x": x, "y": y, **point, "description": {"field": "words"}},
            },
        ]
        if not panels:
            text = {"type": "text", "align": "right", "fontSize": 11, "aria": False}
            layers.append(
                {
                    "data": {"values": values},
                    "mark": text,
                    "encoding": {"x": {"value": -10}, "y": y, "text": {"field": "label"}, "fill": look["text"]},
                }
            )
        resolve = {"scale": {"fill": "independent"}}
        panels.append({"width": PANEL, "height": ROW * len(labels), "layer": layers, "resolve": resolve})
    return {"hconcat": panels, "spacing": 24, "padding": ROOM}
