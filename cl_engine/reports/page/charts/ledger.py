"""What is held, by kind, after each experience; beside it the training peak; the budget as a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cl_engine.reports.page.charts.drawing import COLOURS, GROUND, Spec
from cl_engine.reports.text import size

UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))
KEYS = 4  # names of kinds in a line
HEIGHT, COLUMN, MOST = 110, 15, 16  # of more experiences every k-th and the last are drawn


def kinds_of(experiences: Any) -> list[str]:
    """Return the kinds that any run holds, the heaviest first."""
    columns = [c for c in experiences.columns if c.startswith("held.")]
    sums = experiences[columns].fillna(0).sum()
    return [c.removeprefix("held.") for c in sorted(columns, key=lambda c: -sums[c]) if sums[c] > 0]


def ledger(rows: Any, budgets: Sequence[int], kinds: Sequence[str], name: str) -> Spec:
    """Return one strategy's ledger, one panel a budget.

    Args:
        rows: mean over seeds by budget and experience: ``held.<kind>``, 0 where nothing is held, and ``peak``.
        budgets: the panels.
        kinds: order and colours of the kinds, shared by the whole page.
        name: of the strategy, for the words of a bar.
    """
    panels = [_panel(rows[rows["budget"] == budget], budget, kinds, name) for budget in budgets]
    return {"hconcat": panels, "spacing": 14}


def key(own: Sequence[str], kinds: Sequence[str]) -> Spec:
    """Return the colours of a ledger's ``own`` kinds as a chart below it; on the page it is text."""
    names = [*own, "only while training (peak)"]
    colours = [*(f"var(--k{kinds.index(kind) % COLOURS})" for kind in own), "var(--peak)"]
    places = [{"k": k, "x": 170 * (k % KEYS), "y": k // KEYS, "kind": name} for k, name in enumerate(names)]
    columns = min(KEYS, len(names))
    x: Spec = {"field": "x", "type": "quantitative", "axis": None}
    x["scale"] = {"domain": [0, 170 * columns], "nice": False}
    y: Spec = {"field": "y", "type": "ordinal", "axis": None}
    fill: Spec = {"field": "k", "type": "nominal", "legend": None}
    fill["scale"] = {"domain": list(range(len(names))), "range": colours}
    return {
        "width": 170 * columns,
        "height": 16 * (1 + (len(names) - 1) // KEYS),
        "data": {"values": places},
        "resolve": {"scale": {"fill": "independent"}},
        "layer": [
            {"mark": {"type": "square", "size": 70, "opacity": 1}, "encoding": {"x": x, "y": y, "fill": fill}},
            {
                "mark": {"type": "text", "align": "left", "dx": 9, "fontSize": 10, "fill": "var(--ink)"},
                "encoding": {"x": x, "y": y, "text": {"field": "kind"}},
            },
        ],
    }


def _panel(rows: Any, budget: int, kinds: Sequence[str], name: str) -> Spec:
    rows = rows.sort_values("experience")
    step = -(-len(rows) // MOST) or 1
    rows = rows.iloc[::-1].iloc[::step].iloc[::-1]
    own = [k for k in kinds if rows[f"held.{k}"].sum() > 0]
    top = max([float(rows[[f"held.{k}" for k in own]].sum(axis=1).max()), budget, float(rows["peak"].max() or 0)])
    unit, factor = next((u for u in UNITS if top >= u[1]), UNITS[-1])
    bars = []
    for experience, values in zip(rows["experience"], rows.to_dict("records"), strict=True):
        base = 0.0
        for kind in own:
            held = float(values[f"held.{kind}"])
            if held > 0:
                bars.append(
                    {
                        "x": int(experience) - 0.42 * step,
                        "x2": int(experience) + 0.12 * step,
                        "from": base / factor,
                        "to": (base + held) / factor,
                        "k": kinds.index(kind),
                        "words": f"{name} · {_budget(budget)} · after experience {int(experience)} · "
                        f"{kind} {size(held)} of {size(sum(float(values[f'held.{k}']) for k in own))}",
                    }
                )
            base += held
    peaks = [
        {
            "x": int(experience) + 0.14 * step,
            "x2": int(experience) + 0.4 * step,
            "from": 0,
            "to": peak / factor,
            "words": f"{name} · {_budget(budget)} · experience {int(experience)} · "
            f"only while training {size(peak)}",
        }
        for experience, peak in zip(rows["experience"], rows["peak"], strict=True)
        if peak > 0
    ]
    last = int(rows["experience"].max())
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [int(rows["experience"].min()) - 0.5 * step, last + 0.5 * step], "nice": False},
        "axis": {
            "title": None,
            "values": rows["experience"].tolist(),
            "ticks": False,
            "labelFontSize": 10,
            "grid": False,
        },
    }
    y = {
        "field": "from",
        "type": "quantitative",
        "scale": {"domain": [0, 1.04 * top / factor], "nice": False},
        "axis": {
            "title": unit,
            "tickCount": 3,
            "titleFontSize": 10,
            "labelFontSize": 10,
            "labelExpr": "format(datum.value, ',.4~r')",
        },
    }
    ranges = [f"var(--k{i % COLOURS})" for i in range(len(kinds))]
    colour = {
        "field": "k",
        "type": "nominal",
        "scale": {"domain": list(range(len(kinds))), "range": ranges},
        "legend": None,
    }
    layers: list[Spec] = [
        {
            "data": {"values": bars},
            "mark": {"type": "rect", "stroke": GROUND},
            "encoding": {
                "x": x,
                "x2": {"field": "x2"},
                "y": y,
                "y2": {"field": "to"},
                "fill": colour,
                "strokeWidth": {"value": 0.5},
                "description": {"field": "words"},
            },
        },
        {
            "data": {"values": peaks},
            "mark": {"type": "rect", "fill": "var(--peak)"},
            "encoding": {
                "x": x,
                "x2": {"field": "x2"},
                "y": y,
                "y2": {"field": "to"},
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
