"""A stream before anything is trained: what each experience brings, as a table and as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cl_engine.reports.text import aligned
from cl_engine.scenarios.plan import Int64, StreamPlan, class_ids, exposure_order

ROWS, COLUMNS = 150, 120  # cells of the picture; more classes or experiences share a cell
TABLE_ROWS = 60
TITLE, SUBTITLE, AXIS_TITLE = 13, 12, 12  # font sizes, pixels
MARGIN = 90  # pixels that axis and legend always take beside the columns


def overview(targets: Int64, plan: StreamPlan) -> dict[str, Any]:
    """Return what there is to know about a plan, as plain data; ``labels`` are in the order of first exposure.

    Args:
        targets: the labels of the training samples ``[N]``.
        plan: a plan for them.
    """
    order = exposure_order(targets, plan)
    ids = class_ids(plan.delivered(targets), order)
    experiences: list[dict[str, Any]] = []
    exposed = 0
    for t in range(len(plan)):
        present = np.unique(ids[plan.offsets[t] : plan.offsets[t + 1]])
        new = int((present >= exposed).sum())
        exposed += new
        experiences.append(
            {"samples": int(plan.sizes[t]), "classes": len(present), "new_classes": new, "exposed_classes": exposed}
        )
    if plan.transforms is not None:
        for facts, transform in zip(experiences, plan.transforms, strict=True):
            facts["transform"] = " ".join(map(str, transform.values()))
    return {
        "fingerprint": plan.fingerprint,
        "experiences": experiences,
        "labels": order.tolist(),
        "samples_delivered": len(plan.indices),
        "samples_dropped": plan.dropped,
        "samples_repeated": len(plan.indices) - (plan.samples - plan.dropped),
        "boundaries": "visible" if plan.boundaries else "hidden",
        "task_identity": "visible" if plan.task_identity else "hidden",
        "notes": list(plan.notes),
    }


def table(facts: dict[str, Any]) -> str:
    """Format an overview for the terminal; of very many experiences the first and the last."""
    experiences = facts["experiences"]
    heading = ["experience", "samples", "classes", "new", "exposed", "new labels"]
    rows = [
        [
            str(t + 1),
            *(f"{e[k]:,}" for k in ("samples", "classes", "new_classes", "exposed_classes")),
            _names(facts["labels"], e["exposed_classes"] - e["new_classes"], e["exposed_classes"]),
        ]
        for t, e in enumerate(experiences)
    ]
    if "transform" in experiences[0]:
        heading.append("transform")
        rows = [[*row, e["transform"]] for row, e in zip(rows, experiences, strict=True)]
    if len(rows) > TABLE_ROWS:
        left_out = len(rows) - TABLE_ROWS + 1
        rows[TABLE_ROWS - 11 : -10] = [["...", f"({left_out} more)", *[""] * (len(heading) - 2)]]
    lines = [
        aligned([heading, *rows]),
        "",
        f"{facts['samples_delivered']:,} samples delivered, {facts['samples_dropped']:,} never, "
        f"{facts['samples_repeated']:,} deliveries repeat a sample",
        f"boundaries {facts['boundaries']}, task identity {facts['task_identity']}",
        *(f"note: {note}" for note in facts["notes"]),
        f"fingerprint {facts['fingerprint']}",
    ]
    return "\n".join(lines)


def picture(targets: Int64, plan: StreamPlan, title: str, stem: Path) -> list[Path]:
    """Draw classes by experiences, and the sizes of the experiences; return the SVG and the HTML file.

    Both show the same chart; the HTML page works offline and tells numbers under the pointer.
    """
    import altair as alt

    chart = alt.Chart.from_dict(chart_of(targets, plan, title))
    with alt.data_transformers.enable("default", max_rows=None):
        files = [stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.html")]
        chart.save(files[0])
        chart.save(files[1], inline=True)
    return files


def chart_of(targets: Int64, plan: StreamPlan, title: str) -> dict[str, Any]:
    """Return the Vega-Lite specification of the picture."""
    order = exposure_order(targets, plan)
    ids = class_ids(plan.delivered(targets), order)
    classes, experiences = len(order), len(plan)
    per_row, per_column = -(-classes // ROWS), -(-experiences // COLUMNS)
    row = ids // per_row
    column = np.repeat(np.arange(experiences), plan.sizes) // per_column
    rows, columns = -(-classes // per_row), -(-experiences // per_column)
    counts = np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)
    cells = [
        {
            "x": int(c),
            "y": int(r),
            "samples": int(counts[r, c]),
            "experience": _span(c, per_column, experiences),
            "class": _names(order, r * per_row, min((r + 1) * per_row, classes)),
        }
        for r, c in zip(*np.nonzero(counts), strict=True)
    ]
    totals = counts.sum(0)
    bars = [
        {"x": c, "samples": int(n), "experience": _span(c, per_column, experiences)} for c, n in enumerate(totals)
    ]
    width = max(min(14 * columns, 720), 300)
    height = max(min(16 * rows, 480), 80)
    unit = "experience" if per_column == 1 else f"experiences ({per_column} per column)"
    classes_title = "class, in order of first exposure" + (f" ({per_row} per row)" if per_row > 1 else "")
    x_ticks = sorted({0, columns // 4, columns // 2, 3 * columns // 4, columns - 1}) if columns > 12 else None
    label = f"datum.value * {per_column} + 1"
    x = {"field": "x", "type": "ordinal", "axis": {"labelAngle": 0, "labelExpr": label, "title": unit}}
    if x_ticks:
        x["axis"] = {**x["axis"], "values": x_ticks}  # type: ignore[dict-item]
    y_axis: dict[str, Any] = {
        "title": _lines(classes_title, AXIS_TITLE, height, bold=True),
        "labelExpr": _label_expression(order, per_row),
    }
    if rows > 24:
        y_axis["values"] = sorted({0, rows // 4, rows // 2, 3 * rows // 4, rows - 1})
    bar_x = {**x, "axis": None}
    subtitles = [
        f"{len(plan.indices):,} samples in {experiences} experiences, {classes} classes; "
        f"{plan.dropped:,} samples never delivered",
        "Above: samples of each experience. Below: which classes they come from; white is none.",
    ]
    scheme = {"type": "sqrt", "scheme": "blues", "domainMin": 0}
    legend = {"title": ["samples", "per cell"], "gradientLength": min(height, 160)}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {
            "text": _lines(title, TITLE, width + MARGIN, bold=True),
            "fontSize": TITLE,
            "subtitle": [line for text in subtitles for line in _lines(text, SUBTITLE, width + MARGIN)],
            "subtitleFontSize": SUBTITLE,
            "anchor": "start",
            "subtitleColor": "#555",
        },
        "vconcat": [
            {
                "data": {"values": bars},
                "width": width,
                "height": 70,
                "mark": {"type": "bar", "color": "#4c78a8"},
                "encoding": {
                    "x": bar_x,
                    "y": {
                        "field": "samples",
                        "type": "quantitative",
                        "axis": {"title": "samples", "tickCount": 3, "format": ",d"},
                    },
                    "tooltip": [{"field": "experience"}, {"field": "samples", "format": ","}],
                },
            },
            {
                "data": {"values": cells},
                "width": width,
                "height": height,
                "mark": "rect",
                "encoding": {
                    "x": {**x, "scale": {"domain": list(range(columns))}},
                    "y": {
                        "field": "y",
                        "type": "ordinal",
                        "axis": y_axis,
                        "scale": {"domain": list(range(rows))},
                    },
                    "color": {"field": "samples", "type": "quantitative", "scale": scheme, "legend": legend},
                    "tooltip": [{"field": "experience"}, {"field": "class"}, {"field": "samples", "format": ","}],
                },
            },
        ],
        "spacing": 6,
        "padding": 20,  # for fonts wider than the one that the layout was made with
        "config": {"view": {"stroke": "#ddd"}, "axis": {"labelFontSize": 11, "titleFontSize": AXIS_TITLE}},
    }


def _lines(text: str, size: int, pixels: int, bold: bool = False) -> list[str]:
    """Break ``text`` so that no line is longer than ``pixels``, whatever sans-serif font a viewer has.

    In the widest common ones (Verdana, DejaVu Sans) a character is 0.6 of the size wide on average, 0.7 in bold.
    """
    return textwrap.wrap(text, int(pixels / (size * (0.7 if bold else 0.6))))


def _span(position: int, width: int, total: int) -> str:
    first, last = position * width + 1, min((position + 1) * width, total)
    return str(first) if first == last else f"{first}-{last}"


def _names(order: Sequence[int] | Int64, start: int, stop: int) -> str:
    labels = order[start:stop]
    return ", ".join(map(str, labels[:3])) + (f", ... ({len(labels)})" if len(labels) > 3 else "")


def _label_expression(order: Sequence[int] | Int64, per_row: int) -> str:
    """Return a Vega expression from row number to the label of its first class."""
    firsts = [int(label) for label in order[::per_row]]
    return f"{firsts}[datum.value]"
