"""How wide a LaTeX table comes out, in points of Computer Modern, and what makes it fit the text."""

from __future__ import annotations

from collections.abc import Sequence

from cl_engine.reports.exports.cells import Cell, Table

TEXT = 342.0  # pt; the text of article at 10 pt is 345
FONTS = (  # command, width of its letters to those of 10 pt, \tabcolsep in pt
    ("", 1.0, 6),
    (r"\small", 0.925, 4),
    (r"\footnotesize", 0.85, 3),
    (r"\scriptsize", 0.8, 2),
)
LONG, STEM = 20, 12  # characters of a name, and of what is left of a longer one
DIGIT, BOLD, SIGN, MARK = 5.0, 5.8, 12.3, 4.6  # of a number; of plus-minus with its spaces; of a raised mark
LETTERS = {  # pt; anything else is 5.6
    **dict.fromkeys("mwMW%@#&+=<>", 9.5),
    **dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ", 7.8),
    **dict.fromkeys("ijlftIJ.,:;'!|()[] ", 3.9),
}


def short_names(labels: Sequence[str]) -> dict[str, str]:
    """Return what a table calls each label: long ones by their first word without its module, numbered.

    >>> short_names(["icarl", "my_package.methods:Mine width 32 depth 4"])
    {'icarl': 'icarl', 'my_package.methods:Mine width 32 depth 4': 'Mine (1)'}
    """
    names: dict[str, str] = {}
    for label in labels:
        if len(label) > LONG:
            word = (label.split() or [label])[0].rpartition(":")[2]
            number = 1 + sum(name != other for other, name in names.items())
            names[label] = f"{word[:STEM]} ({number})"
        else:
            names[label] = label
    return names


def layout(table: Table) -> tuple[dict[str, str], str, int, list[slice]]:
    r"""Return what each label is called, font, ``\tabcolsep`` in pt, and the budgets that stand beside each other.

    Whole names in the largest font that lets all budgets stand beside each other; else short names; else parts.
    """
    rows = (*table.references, *table.strategies)
    labels = [label for label, _ in rows]
    columns = [
        max([_text(heading), *(_cell(cells[k]) for _, cells in rows)]) for k, heading in enumerate(table.budgets)
    ]
    for names in ({label: label for label in labels}, short_names(labels)):
        first = max((_text(name) for name in names.values()), default=0.0)
        for font, size, separation in FONTS:
            if size * (first + sum(columns)) + 2 * separation * (1 + len(columns)) <= TEXT:
                return names, font, separation, [slice(0, len(columns))]
    parts, start, width = [], 0, size * first + 2 * separation
    for k, column in enumerate(columns):
        more = size * column + 2 * separation
        if k > start and width + more > TEXT:
            parts.append(slice(start, k))
            start, width = k, size * first + 2 * separation
        width += more
    return names, font, separation, [*parts, slice(start, len(columns))]


def _text(text: str) -> float:
    return sum(LETTERS.get(letter, 5.6) for letter in text)


def _cell(cell: Cell) -> float:
    digit = BOLD if cell.place == "best" else DIGIT
    spread = SIGN + DIGIT * len(cell.spread) if cell.spread else 0.0
    return digit * len(cell.mean) + MARK * (cell.may_be_best + cell.lost) + spread
