"""Accuracy matrices as tables: row k after experience k, column j the classes first seen in experience j."""

from __future__ import annotations

from typing import Any

from cl_engine.reports.page.markup import Markup, tag

MOST = 12  # rows and columns; of more every k-th and the last


def matrix(rows: Any, caption: str) -> Markup:
    """Return one run's matrix.

    Args:
        rows: experience and group (from 1), accuracy, each pair once.
        caption: whose it is.
    """
    found = {
        (int(k), int(j)): float(a)
        for k, j, a in zip(rows["experience"], rows["group"], rows["accuracy"], strict=True)
        if a == a
    }
    last = max((k for k, _ in found), default=0)
    step = -(-last // MOST) or 1
    places = list(range(last, 0, -step))[::-1]
    left_out = f"; every {step}th experience" if step > 1 else ""
    head = tag("tr", tag("th", "after", scope="col"), *(tag("th", j, scope="col") for j in places))
    body = [tag("tr", tag("th", k, scope="row"), *(_cell(found.get((k, j))) for j in places)) for k in places]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption + left_out),
            tag("thead", head),
            tag("tbody", *body),
            class_="matrix",
        ),
        class_="wrap",
        tabindex="0",
    )


def _cell(accuracy: float | None) -> Markup:
    if accuracy is None:
        return Markup("<td>")
    return Markup(f'<td style="--a:{accuracy * 100:.0f}%">{accuracy * 100:.0f}')
