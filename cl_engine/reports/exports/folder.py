"""All tables of some results, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cl_engine.errors import InputError
from cl_engine.reports.exports.aggregates import pairs, summary
from cl_engine.reports.exports.comparing import over_scenarios
from cl_engine.reports.exports.files import to_csv
from cl_engine.reports.exports.latex import latex_table
from cl_engine.reports.exports.markdown import markdown_table
from cl_engine.reports.results import Results
from cl_engine.reports.text import slug, untaken

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("average_accuracy", "last_accuracy")


def write_tables(results: Results, folder: Path, pm: str = "ci") -> tuple[list[Path], list[str]]:
    """Write runs, experiences, summary and pairs as CSV, and a LaTeX and a Markdown table of each main metric.

    Of several scenarios there is a table of the means over them and one of each.

    Args:
        results: the runs.
        folder: where to.
        pm: what follows the sign plus-minus, a key of ``SPREADS``.

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
    for ending, own in _parts(runs):
        for metric in METRICS:
            for suffix, table in (("tex", latex_table), ("md", markdown_table)):
                path = folder / f"{metric}{ending}.{suffix}"
                try:
                    path.write_text(table(own, metric, pm), encoding="utf-8")
                    written.append(path)
                except InputError as error:
                    left_out.append(f"{path.name}: {error}")
    return written, left_out


def _parts(runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the runs of each table, with what its name ends in: over all scenarios, and of each."""
    names = [*dict.fromkeys(runs["scenario"])]
    if len(names) == 1:
        yield "", runs
        return
    endings = [""]
    yield "", over_scenarios(runs)
    for name in names:
        endings.append(untaken(f"-{slug(name)}", endings))  # long names differ where a file's name is cut
        yield endings[-1], runs[runs["scenario"] == name]
