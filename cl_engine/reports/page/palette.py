"""How a strategy looks: a colour for its family, a dash and a mark of its own; never colour alone.

The eight colours were searched for under Machado's simulation of protan, deutan and tritan vision: the smallest
CIELAB distance of two is 27 on white and 26 on the dark ground; each has a contrast of at least 3 to its ground.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    "compatible": ("#7638d1", "#6761e1"),
}
OTHER = "compatible"  # of a family that is not ours
DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [8, 3, 2, 3])
MARKS = ("circle", "square", "triangle-up", "diamond")
READABLE = 4.5  # WCAG 2.2, 1.4.3: contrast of text


class Look(NamedTuple):
    """How one strategy is drawn: ``hollow`` from the fifth of a family on."""

    family: str
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


def text_colour(family: str, theme: str) -> str:
    """Return the family's colour where text in it can be read, else the colour of all text."""
    colour = FAMILIES[family][theme == "dark"]
    return colour if contrast(colour, DARK if theme == "dark" else LIGHT) >= READABLE else INK[theme]


def looks(strategies: Sequence[tuple[str, str, str]]) -> dict[str, Look]:
    """Return the look of each label, from ``(label, strategy, family)``.

    A strategy's place in the registry decides, not which others there are, so it looks alike in every report.
    Variants of a strategy take what the family's members leave.

    >>> looks([("icarl", "icarl", "rehearsal")])["icarl"]
    Look(family='rehearsal', dash=[6, 3], mark='square', hollow=False)
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
            found[label] = Look(known, DASHES[(place + turn) % 4], MARKS[place], turn > 0)
    return {label: found[label] for label, _, _ in strategies}


def _members(family: str) -> list[str]:
    return [kind for kind, home in KINDS.items() if f".{family}." in home]


def style(families: Sequence[str]) -> str:
    """Return the style sheet's variables: of each strategy its colour ``--sN`` and that of its text ``--tN``.

    A swatch of it has the class ``bN``.
    """
    themes = {}
    for theme in ("light", "dark"):
        ground = DARK if theme == "dark" else LIGHT
        lines = [f"--ground:{ground}", f"--ink:{INK[theme]}"]
        for i, family in enumerate(families):
            lines += [f"--s{i}:{FAMILIES[family][theme == 'dark']}", f"--t{i}:{text_colour(family, theme)}"]
        themes[theme] = ";".join(lines)
    swatches = "".join(f".b{i}{{background:var(--s{i})}}" for i in range(len(families)))
    return (
        f"{swatches}:root{{{themes['light']}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{themes['dark']}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{themes['dark']}}}}}"
    )


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
