"""What is held, by kind, after each experience; beside it what existed only while training; the budget as a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cl_engine.reports.page.charts.drawing import GROUND, Spec
from cl_engine.reports.text import size

UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))
HEIGHT, COLUMN, MOST = 110, 15, 16  # of more experiences every k-th and the last are drawn
SHADES = (1.0, 0.62, 0.34, 0.18)  # of one ink: kinds are told apart by order, name and shade


def kinds_of(experiences: Any) -> list[str]:
    """Return the kinds that any run holds, the heaviest first."""
    columns = [c for c in experiences.columns if c.startswith("held.")]
    sums = experiences[columns].fillna(0).sum()
    return [c.removeprefix("held.") for c in sorted(columns, key=lambda c: -sums[c]) if sums[c] > 0]


def ledger(rows: Any, budgets: Sequence[int], kinds: Sequence[str], name: str) -> Spec:
    """Return one strategy's ledger, one panel a budget.

    Args:
        rows: mean over seeds by budget and experience: ``held.<kind>``, ``peak``.
        budgets: the panels.
        kinds: order and colours of the kinds, shared by the whole page.
        name: of the strategy, for the words of a bar.
    """
    panels = [_panel(rows[rows["budget"] == budget], budget, kinds, name) for budget in budgets]
    return {"hconcat": panels, "spacing": 14}


def _panel(rows: Any, budget: int, kinds: Sequence[str], name: str) -> Spec:
    rows = rows.sort_values("experience")
    step = -(-len(rows) // MOST) or 1
    rows = rows.iloc[::-1].iloc[::step].iloc[::-1]
    own = [k for k in kinds if rows[f"held.{k}"].fillna(0).sum() > 0]
    top = max([float(rows[[f"held.{k}" for k in own]].sum(axis=1).max()), budget, float(rows["peak"].max() or 0)])
    unit, factor = next((u for u in UNITS if top >= u[1]), UNITS[-1])
    bars = []
    for experience, values in zip(rows["experience"], rows.to_dict("records"), strict=True):
        base = 0.0
        for kind in own:
            held = float(values[f"held.{kind}"] or 0)
            if held > 0:
                bars.append(
                    {
                        "x": int(experience),
                        "from": base / factor,
                        "to": (base + held) / factor,
                        "k": kinds.index(kind),
                        "words": f"{name} · {_budget(budget)} · after experience {int(experience)} · "
                        f"{kind} {size(held)} of {size(sum(float(values[f'held.{k}'] or 0) for k in own))}",
                    }
                )
            base += held
    peaks = [
        {
            "x": int(experience),
            "to": peak / factor,
            "words": f"{name} · {_budget(budget)} · experience {int(experience)} · only while training {size(peak)}",
        }
        for experience, peak in zip(rows["experience"], rows["peak"], strict=True)
        if peak > 0
    ]
    x = {
        "field": "x",
        "type": "ordinal",
        "scale": {"paddingInner": 0.15},
        "axis": {"labelAngle": 0, "title": None, "labelOverlap": True, "ticks": False, "labelFontSize": 10},
    }
    y = {
        "field": "from",
        "type": "quantitative",
        "scale": {"domain": [0, 1.04 * top / factor], "nice": False},
        "axis": {"title": unit, "tickCount": 3, "titleFontSize": 10, "labelFontSize": 10, "format": "~g"},
    }
    ranges = [f"var(--k{i})" for i in range(len(kinds))]
    colour = {
        "field": "k",
        "type": "nominal",
        "scale": {"domain": list(range(len(kinds))), "range": ranges},
        "legend": None,
    }
    layers: list[Spec] = [
        {
            "data": {"values": bars},
            "mark": {"type": "bar", "align": "right", "width": {"band": 0.62}, "xOffset": 1, "stroke": GROUND},
            "encoding": {
                "x": x,
                "y": y,
                "y2": {"field": "to"},
                "fill": colour,
                "strokeWidth": {"value": 0.5},
                "description": {"field": "words"},
            },
        },
        {
            "data": {"values": peaks},
            "mark": {"type": "bar", "width": {"band": 0.3}, "fill": "var(--peak)", "xOffset": 5},
            "encoding": {
                "x": x,
                "y": {**y, "field": "to"},
                "y2": {"datum": 0},
                "description": {"field": "words"},
            },
        },
    ]
    if budget:
        layers.append(
            {
                "data": {"values": [{"b": budget / factor}]},
                "mark": {"type": "rule", "stroke": "var(--ink)", "strokeDash": [4, 3], "aria": False},
                "encoding": {"y": {"field": "b", "type": "quantitative"}},
            }
        )
    width = max(70, COLUMN * len(rows))
    return {"title": _budget(budget), "width": width, "height": HEIGHT, "layer": layers}


def _budget(budget: int) -> str:
    return f"budget {size(budget)}" if budget else "no budget"
