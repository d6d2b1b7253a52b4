"""The key of each strategy beside its name: its line with its dash, and its mark, as the charts draw them."""

from __future__ import annotations

from collections.abc import Iterable

from cl_engine.reports.page.markup import Markup, join, tag
from cl_engine.reports.page.palette import Look

SHAPES = {
    "circle": "M10.5 5a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "square": "M10.9 1.9h6.2v6.2h-6.2z",
    "triangle-up": "M14 1.2L17.9 8.4H10.1z",
    "diamond": "M14 .6L17.2 5L14 9.4L10.8 5z",
}


def symbols(looks: Iterable[Look]) -> Markup:
    """Return the keys, drawn once; :func:`swatch` shows them."""
    drawn = []
    for i, look in enumerate(looks):
        dash = " ".join(map(str, look.dash)) or None
        line = tag("path", d="M0 5H28", stroke="currentColor", stroke_width=2, stroke_dasharray=dash)
        fill = "var(--ground)" if look.hollow else "currentColor"
        mark = tag("path", d=SHAPES[look.mark], fill=fill, stroke="currentColor", stroke_width=1.3)
        drawn.append(tag("symbol", line, mark, id=f"m{i}", viewBox="0 0 28 10"))
    return tag("svg", join(*drawn), width=0, height=0, class_="unseen", aria_hidden="true")


def swatch(i: int) -> Markup:
    """Return the key of the strategy at a position."""
    return tag("svg", tag("use", href=f"#m{i}"), class_=f"sw b{i}", aria_hidden="true")
