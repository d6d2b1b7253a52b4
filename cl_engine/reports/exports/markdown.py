"""The table of one metric in Markdown, as GitHub draws it."""

from __future__ import annotations

import pandas as pd

from cl_engine.reports.exports.cells import Cell, table

SPECIAL = {**{c: f"\\{c}" for c in "\\`*_[]|~#$"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"}
MARKS = {
    "best": "bold: the best mean",
    "second": "italic: the second",
    "may_be_best": r"\*: may be the best, by paired t tests with Holm's correction at 5 %",
    "impossible": r"\--: impossible within the budget",
    "lost": "†: some or all runs failed or are unfinished",
}


def markdown_table(frame: pd.DataFrame, metric: str, pm: str = "ci") -> str:
    r"""Return the same table as :func:`latex_table`, its caption below; the second mean is italic.

    Raises:
        InputError: no such metric or ``pm``, no runs, or runs of several policies or streams.

    >>> runs = pd.DataFrame({"strategy": "ncm", "family": "prototypes", "label": "ncm", "seed": [0, 1, 2],
    ...     "policy": "full", "budget_bytes": 1024.0, "status": "done", "average_accuracy": [0.6, 0.7, 0.8]})
    >>> print(markdown_table(runs, "average_accuracy").splitlines()[2])
    | ncm | **70.0**\* ± 24.8 |
    """
    found = table(frame, metric, pm)
    lines = [_row(["", *found.budgets]), _row(["---", *["---:"] * len(found.budgets)])]
    lines += [_row([escape(label), *map(_cell, cells)]) for label, cells in (*found.references, *found.strategies)]
    notes = "; ".join(text for mark, text in MARKS.items() if mark in found.marks)
    caption = escape(found.caption) + (f" {notes[0].upper()}{notes[1:]}." if notes else "")
    return "\n".join([*lines, "", caption]) + "\n"


def escape(text: str) -> str:
    r"""Return a text that Markdown shows as it is, on one line.

    >>> print(escape("a|b <x>"))
    a\|b &lt;x&gt;
    """
    return "".join(SPECIAL.get(c, c) if c.isprintable() else " " for c in text)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    if not cell.mean:
        return "--" if cell.impossible else "†" if cell.lost else ""
    mean = {"best": f"**{cell.mean}**", "second": f"_{cell.mean}_"}.get(cell.place, cell.mean)
    marks = (r"\*" if cell.may_be_best else "") + ("†" if cell.lost else "")
    return f"{mean}{marks}{f' ± {cell.spread}' if cell.spread else ''}"
