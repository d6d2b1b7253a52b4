"""How a strategy looks: a hue for its family; a shade of it, a dash and a mark of its own; never colour alone.

The nine colours were searched for under Machado's simulation of protan, deutan and tritan vision: the smallest
CIELAB distance of two is 22 on white and 23 on the dark ground; each has a contrast of at least 3 to its ground.
Members of a family differ in contrast to the ground, which every kind of vision sees and print keeps.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from cl_engine.strategies import KINDS

LIGHT, DARK = "#ffffff", "#15181e"
INK = {"light": "#1b1f24", "dark": "#e4e7eb"}
FAMILIES = {  # family: colour on the light and on the dark ground
    "references": ("#282828", "#919191"),
    "rehearsal": ("#274c7a", "#70a8f6"),
    "regularisation": ("#733e04", "#f4bf2a"),
    "distillation": ("#728f5d", "#bcea9a"),
    "expansion": ("#bf73d5", "#ae4ba5"),
    "closed_form": ("#e76d1e", "#d5342d"),
    "prototypes": ("#3e9f99", "#39f4f9"),
    "stationary": ("#7638d1", "#6761e1"),
    "own": ("#0c30fc", "#b43c4e"),
}
OTHER = "own"  # of a family that is not ours
SHADES = (3.8, 5.2, 7.2, 10.0)  # contrasts to the ground
DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [8, 3, 2, 3])
MARKS = ("circle", "square", "triangle-up", "diamond")
READABLE = 4.5  # WCAG 2.2, 1.4.3: contrast of text


class Look(NamedTuple):
    """How one strategy is drawn: ``shade`` 0 is its family's colour; ``hollow`` from the fifth of a family on."""

    family: str
    shade: int
    dash: list[int]
    mark: str
    hollow: bool


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2).

    >>> round(contrast("#000000", "#ffffff"), 3)
    21.0
    """
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@cache
def colour(family: str, shade: int, theme: str) -> str:
    """Return a shade of the family's colour as a theme shows it: the first one after its own is farthest from it.

    >>> colour("rehearsal", 0, "light"), colour("rehearsal", 1, "light")
    ('#274c7a', '#5085c7')
    """
    dark = theme == "dark"
    own, ground = FAMILIES[family][dark], DARK if dark else LIGHT
    if not shade:
        return own
    base = contrast(own, ground)
    wanted = sorted(SHADES, key=lambda other: -abs(math.log(other / base)))[shade - 1]
    hue, _, saturation = colorsys.rgb_to_hls(*_parts(own))
    low, high = 0.0, 1.0  # lightness; light colours stand out from a dark ground, dark ones from a light one
    for _ in range(20):
        middle = (low + high) / 2
        enough = contrast(_hex(colorsys.hls_to_rgb(hue, middle, saturation)), ground) >= wanted
        low, high = (low, middle) if enough == dark else (middle, high)
    return _hex(colorsys.hls_to_rgb(hue, high if dark else low, saturation))


def text_colour(family: str, shade: int, theme: str) -> str:
    """Return the shade where text in it can be read, else the colour of all text."""
    own = colour(family, shade, theme)
    return own if contrast(own, DARK if theme == "dark" else LIGHT) >= READABLE else INK[theme]


def looks(strategies: Sequence[tuple[str, str, str]]) -> dict[str, Look]:
    """Return the look of each label, from ``(label, strategy, family)``.

    A strategy's place in the registry decides, not which others there are, so it looks alike in every report.
    Variants of a strategy take what the family's members leave.

    >>> looks([("replay", "replay", "rehearsal")])["replay"]
    Look(family='rehearsal', shade=0, dash=[], mark='circle', hollow=False)
    """
    found: dict[str, Look] = {}
    taken: dict[str, set[int]] = {}
    for first in (True, False):
        for label, strategy, family in strategies:
            known = family if family in FAMILIES else OTHER
            members = _members(known)
            own = members.index(strategy) if strategy in members else None
            used = taken.setdefault(known, set())
            if label in found or first != (own is not None and own not in used):
                continue
            slot = own if first and own is not None else len(members)
            while slot in used:
                slot += 1
            used.add(slot)
            turn, place = divmod(slot, 4)
            found[label] = Look(known, (place + 2 * turn) % 4, DASHES[(place + turn) % 4], MARKS[place], turn > 0)
    return {label: found[label] for label, _, _ in strategies}


def _members(family: str) -> list[str]:
    return [kind for kind, home in KINDS.items() if f".{family}." in home]


def style(looks: Iterable[Look]) -> str:
    """Return the style sheet's variables: of each strategy its colour ``--sN`` and that of its text ``--tN``.

    Its swatch has the class ``bN``.
    """
    strategies = [(look.family, look.shade) for look in looks]
    themes = {}
    for theme in ("light", "dark"):
        ground = DARK if theme == "dark" else LIGHT
        lines = [f"--ground:{ground}", f"--ink:{INK[theme]}"]
        for i, (family, shade) in enumerate(strategies):
            lines += [f"--s{i}:{colour(family, shade, theme)}", f"--t{i}:{text_colour(family, shade, theme)}"]
        themes[theme] = ";".join(lines)
    swatches = "".join(f".b{i}{{color:var(--s{i})}}" for i in range(len(strategies)))
    return (
        f"{swatches}:root{{{themes['light']}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{themes['dark']}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{themes['dark']}}}}}"
    )


def _luminance(colour: str) -> float:
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in _parts(colour)]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _parts(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _hex(parts: Iterable[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
