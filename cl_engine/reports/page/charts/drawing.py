"""What all charts share: the scales of looks, axes in bytes, and the way from a specification to an SVG."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from cl_engine.reports.page.markup import Markup, escape
from cl_engine.reports.page.palette import Look
from cl_engine.reports.text import size

Spec = dict[str, Any]

VEGA_LITE = "5.21"
GROUND = "var(--ground)"
CONFIG: Spec = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "gridColor": "var(--grid)",
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink)",
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "aria": False,
    },
    "header": {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "labelFontWeight": "normal"},
    "title": {"color": "var(--ink)", "fontSize": 12, "fontWeight": "normal", "anchor": "start"},
    "text": {"color": "var(--ink)"},
}
ROOM = {"left": 4, "top": 6, "right": 26, "bottom": 4}  # a viewer's font may be wider than the one laid out with
OWN_FILL = {"scale": {"fill": "independent"}}  # else text takes the colours of the marks above it
COLOURS = 8  # of kinds and of the like, in the page's style; then they begin again
LABEL = 26  # characters of a name at the end of a line
LETTER = 6.5  # pixels of one, at most


def svg(spec: Spec, words: str) -> Markup:
    """Return the drawing of a specification as an element that a screen reader calls ``words``."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg({"config": CONFIG, **spec}, vl_version=VEGA_LITE)
    for useless in (
        r' xmlns(:xlink)?="[^"]*"',
        r'<rect width="[\d.]+" height="[\d.]+" fill="transparent"/>',
        r'<path class="foreground"[^>]*display="none"/>',
        r'<path class="background"[^>]*d="M0,0h0v0h0Z"[^>]*/>',
        r' aria-roledescription="[a-z -]*"',
        r' font-family="sans-serif"',
        r' opacity="1"',
        r' stroke-dasharray=""',
    ):
        drawn = re.sub(useless, "", drawn)
    drawn = re.sub(r' (d|transform)="[^"<>]*"', lambda m: re.sub(r"-?\d+\.\d+(e-?\d+)?", _short, m[0]), drawn)
    drawn = drawn.replace('role="graphics-symbol"', 'role="img"').replace(' role="graphics-object"', "")
    return Markup(drawn.replace("<svg ", f'<svg role="group" aria-label="{escape(words)}" ', 1))


def scales(looks: Mapping[str, Look]) -> dict[str, Spec]:
    """Return the encodings of a strategy's look, by channel; the field ``i`` is its position.

    Every colour is a variable of the strategy's own, so that the page can hide or recolour it without a script's
    knowing what a chart is made of.
    """
    places = list(range(len(looks)))

    def channel(values: Iterable[Any]) -> Spec:
        scale = {"domain": places, "range": list(values)}
        return {"field": "i", "type": "nominal", "scale": scale, "legend": None}

    return {
        "line": channel(f"var(--s{i})" for i in places),
        "text": channel(f"var(--t{i})" for i in places),
        "fill": channel(GROUND if look.hollow else f"var(--s{i})" for i, look in enumerate(looks.values())),
        "dash": channel(look.dash for look in looks.values()),
        "shape": channel(look.mark for look in looks.values()),
    }


def byte_axis(values: Sequence[float], title: str, ticks: Sequence[int] | None = None, width: int = 0) -> Spec:
    """Return a logarithmic axis of bytes; the field ``x`` is log2 of them.

    Args:
        values: what is to be seen on it, bytes.
        title: what the bytes are.
        ticks: the bytes that are named; default powers of two.
        width: pixels, to leave out names that would touch.
    """
    u = [math.log2(v) for v in values if v > 0] or [0.0]
    low, high = min(u), max(u)
    pad = 0.04 * (high - low) if high > low else 0.5
    if ticks is None:
        first, last = math.floor(low), math.ceil(high)
        step = max(1, math.ceil((last - first) / 8))
        ticks = [2**k for k in range(first, last + 1, step) if low - pad <= k <= high + pad] or [round(2**low)]
    widths = [LETTER * len(size(t)) for t in ticks]
    named = _apart([math.log2(t) for t in ticks], widths, width * 1.0, low - pad, high + pad)
    names = {f"{math.log2(t):.6f}": size(t) for t, keep in zip(ticks, named, strict=True) if keep}
    return {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [low - pad, high + pad], "nice": False, "zero": False},
        "axis": {
            "title": title,
            "values": [math.log2(t) for t in ticks],
            "labelExpr": f"{json.dumps(names)}[format(datum.value, '.6f')] || ''",
            "labelOverlap": False,
            "labelFlush": False,
            "grid": True,
        },
    }


def percent_axis(values: Sequence[float], title: str) -> Spec:
    """Return a vertical axis in percent that shows all values; the field ``y`` is in percent."""
    low, high = (min(values), max(values)) if values else (0.0, 100.0)
    pad = max(1.0, 0.06 * (high - low))
    return {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": [max(0.0, low - pad), min(100.0, high + pad)], "nice": False, "zero": False},
        "axis": {"title": title, "tickCount": 6, "format": "~f"},
    }


def moved_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions in the same order of height, at least ``gap`` apart and near those wanted.

    >>> moved_apart([10.0, 10.0, 50.0], 4.0, 0.0, 100.0)
    [8.0, 12.0, 50.0]
    """
    order = sorted(range(len(wanted)), key=lambda k: wanted[k])
    blocks: list[tuple[float, int]] = []  # mean of (wanted - gap * place), how many: isotonic regression
    for place, k in enumerate(order):
        mean, count = wanted[k] - gap * place, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        blocks.append((mean, count))
    free = [mean for mean, count in blocks for _ in range(count)]
    top = high - gap * (len(wanted) - 1)
    placed = [0.0] * len(wanted)
    for place, k in enumerate(order):
        placed[k] = max(low, min(free[place], top)) + gap * place
    return placed


def whole_ticks(low: float, high: float, most: int = 10) -> list[int]:
    """Return the whole numbers that an axis names between two values, each once, at round steps.

    >>> whole_ticks(1, 2), whole_ticks(1, 5), whole_ticks(0, 1437)
    ([1, 2], [1, 2, 3, 4, 5], [0, 200, 400, 600, 800, 1000, 1200, 1400])
    """
    first, last = math.ceil(low), math.floor(high)
    step = next(
        s for power in count() for s in (10**power, 2 * 10**power, 5 * 10**power) if (last - first) / s < most
    )
    return [*range(first if step == 1 else -(-first // step) * step, last + 1, step)]


def short(names: Iterable[str]) -> dict[str, str]:
    """Return names as they fit beside a line.

    Of one that is too long, the words go that all names with its first word have in the same places; what is then
    still too long is cut.

    >>> list(short(["replay codec raw model_dtype int8", "replay codec jpeg model_dtype int8", "ncm"]).values())
    ['replay raw', 'replay jpeg', 'ncm']
    """
    words = {name: name.split() for name in names}
    found = {}
    for name, own in words.items():
        line = " ".join(own)
        alike = [other for other in words.values() if other[:1] == own[:1]]
        if len(line) > LABEL and len({len(other) for other in alike}) == 1 < len(alike):
            line = " ".join(word for k, word in enumerate(own) if not k or len({other[k] for other in alike}) > 1)
        found[name] = line if len(line) <= LABEL else line[: LABEL - 1] + "…"
    return found


def _apart(places: Sequence[float], widths: Sequence[float], width: float, low: float, high: float) -> list[bool]:
    """Return which of the ticks are named, so that no names touch; the last one always is."""
    if not width:
        return [True] * len(places)
    keep, free = [False] * len(places), math.inf
    for k in reversed(range(len(places))):
        pixel = (places[k] - low) / (high - low) * width
        if pixel + widths[k] / 2 <= free:
            keep[k], free = True, pixel - widths[k] / 2
    return keep


def _short(number: re.Match[str]) -> str:
    rounded = f"{float(number[0]):.1f}".removesuffix(".0")
    return "0" if rounded == "-0" else rounded
