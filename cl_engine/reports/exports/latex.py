r"""The table of one metric in LaTeX, for a paper that loads booktabs.

The numbers are plain math in right-aligned columns; siunitx columns break on bold cells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from cl_engine.reports.exports.cells import Cell, Table, table
from cl_engine.reports.exports.widths import LONG, layout

SPECIAL = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # at the start of a row, the row before would take it for its option
    "*": "{*}",
}
MARKS = {
    "best": r"bold: the best mean",
    "second": r"underlined: the second",
    "may_be_best": r"$\ast$: may be the best, by paired t tests with Holm's correction at 5\,\%",
    "impossible": r"--: impossible within the budget",
    "lost": r"$\dagger$: some or all runs failed or are unfinished",
}


def latex_table(frame: pd.DataFrame, metric: str, pm: str = "ci") -> str:
    r"""Return a ``table`` of strategies by budgets, references above the rule, its caption saying what it shows.

    Args:
        frame: one row a run, as ``load_results`` gives.
        metric: a metric's name; higher is better except for forgetting.
        pm: what follows the sign plus-minus: ``ci`` the half-width of the 95 % t-interval, ``sd`` or ``se``.

    The best mean is bold and the second underlined, also when they print alike: only equal means share.  An
    asterisk marks what may be the best.  The table fits 345 pt, the text of LaTeX's article: where it is wide it is
    set smaller, then in parts below each other, and long names are cut, with a key below.

    Raises:
        InputError: no such metric or ``pm``, no runs, or runs of several policies or streams.

    >>> runs = pd.DataFrame({"strategy": "ncm", "family": "prototypes", "label": "n_c", "seed": [0, 1, 2],
    ...     "policy": "full", "budget_bytes": 1024.0, "status": "done", "average_accuracy": [0.6, 0.7, 0.8]})
    >>> print(latex_table(runs, "average_accuracy").splitlines()[-4])
    n\_c & $\textbf{70.0}^{\ast} \pm 24.8$ \\
    """
    found = table(frame, metric, pm)
    names, font, separation, parts = layout(found)
    caption = escape(found.caption).replace(r" \%", r"\,\%")
    notes = "; ".join(text for mark, text in MARKS.items() if mark in found.marks)
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}{' ' + notes[0].upper() + notes[1:] + '.' if notes else ''}}}",
        *([font, rf"\setlength{{\tabcolsep}}{{{separation}pt}}"] if font else []),
        "\n\\par\\medskip\n".join(_tabular(found, names, part) for part in parts),
        *_key(names),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _tabular(found: Table, names: Mapping[str, str], part: slice) -> str:
    """Return the rows of all strategies that ran within some of the budgets."""
    blocks = [[" & ".join(["", *map(escape, found.budgets[part])])]]
    for rows in (found.references, found.strategies):
        lines = [[_cell(cell) for cell in cells[part]] for _, cells in rows]
        if kept := [(label, line) for (label, _), line in zip(rows, lines, strict=True) if any(line)]:
            blocks.append([" & ".join([escape(names[label]), *line]) for label, line in kept])
    body = "\n\\midrule\n".join("\n".join(rf"{row} \\" for row in block) for block in blocks)
    columns = "r" * len(found.budgets[part])
    return "\n".join([rf"\begin{{tabular}}{{l{columns}}}", r"\toprule", body, r"\bottomrule", r"\end{tabular}"])


def _key(names: Mapping[str, str]) -> list[str]:
    """Return what short names stand for, as a paragraph that can break within them."""
    long = [rf"{escape(name)}: {_breaking(label)}" for label, name in names.items() if name != label]
    return [rf"\par\smallskip{{\footnotesize\raggedright {'; '.join(long)}.\par}}"] if long else []


def _breaking(label: str) -> str:
    words = (re.findall(r".{1,9}\W|.{1,10}", word) if len(word) > LONG else [word] for word in label.split())
    return " ".join(r"\allowbreak{}".join(map(escape, word)) for word in words)


def escape(text: str) -> str:
    r"""Return a text that LaTeX prints as it is; line breaks and other control characters become spaces.

    >>> print(escape("a_b 5% <x>"))
    a\_b 5\% \textless{}x\textgreater{}
    """
    return "".join(SPECIAL.get(c, c) if c.isprintable() else " " for c in text)


def _cell(cell: Cell) -> str:
    if not cell.mean:
        return "--" if cell.impossible else r"$\dagger$" if cell.lost else ""
    mean = {"best": rf"\textbf{{{cell.mean}}}", "second": rf"\underline{{{cell.mean}}}"}.get(cell.place, cell.mean)
    marks = (r"\ast" if cell.may_be_best else "") + (r"\dagger" if cell.lost else "")
    power = f"^{{{marks}}}" if marks else ""
    spread = rf" \pm {cell.spread}" if cell.spread else ""
    return f"${mean}{power}{spread}$"
