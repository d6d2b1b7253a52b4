"""All tables of some results, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cl_engine.errors import InputError
from cl_engine.reports.exports.aggregates import pairs, summary
from cl_engine.reports.exports.files import to_csv
from cl_engine.reports.exports.latex import latex_table
from cl_engine.reports.exports.markdown import markdown_table
from cl_engine.reports.results import Results

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("average_accuracy", "last_accuracy")


def write_tables(results: Results, folder: Path) -> tuple[list[Path], list[str]]:
    """Write runs, experiences, summary and pairs as CSV, and a LaTeX and a Markdown table of each main metric.

    Returns:
        The files, and why any of them was left out: nothing is finished, say, or there are several streams.

    Raises:
        OSError: the folder cannot be written.
    """
    runs = results.frame()
    written, left_out = [], []
    frames: dict[str, Callable[[], pd.DataFrame]] = {
        "runs": lambda: runs,
        "experiences": lambda: results.frame("experience"),
        "summary": lambda: summary(runs),
        "pairs": lambda: pairs(runs),
    }
    for name, frame in frames.items():
        try:
            written.append(to_csv(frame(), folder / f"{name}.csv"))
        except InputError as error:
            left_out.append(f"{name}.csv: {error}")
    for metric in METRICS:
        for suffix, table in (("tex", latex_table), ("md", markdown_table)):
            path = folder / f"{metric}.{suffix}"
            try:
                path.write_text(table(runs, metric), encoding="utf-8")
                written.append(path)
            except InputError as error:
                left_out.append(f"{path.name}: {error}")
    return written, left_out
